#pragma once

namespace vim::dist {

// Whether NVLink joins this GPU to all others that are seen, at least `size` with it.
bool is_linked_to_others(int device, int size);

}  // namespace vim::dist
