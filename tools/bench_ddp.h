// vim-bench ddp: what several processes gain over one.
#pragma once

namespace vim::tools {

void bench_ddp(int argc, char** argv);

}  // namespace vim::tools
