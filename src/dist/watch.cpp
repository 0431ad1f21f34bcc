#include "dist/watch.h"

#include <c10/util/Exception.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "vim/core/log.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

using namespace std::chrono_literals;

constexpr auto kBeat = 500ms;
constexpr auto kSilence = 12s;           // of a process that is stopped or cut off
constexpr auto kSuspectedSilence = 3s;   // where operations fail already
constexpr auto kSuspicion = 6s;          // until a failed operation counts as this rank's own fault
constexpr auto kLastWords = 2s;          // for the others to read a cause, or to finish
constexpr double kPatience = 30 * 60.0;  // seconds
constexpr double kPauses = 4;            // times the longest pause so far is no hang

const std::string kFailure = "failure", kSeen = "seen", kFinished = "finished";

std::string beat_key(size_t rank) {
  return "beat/" + std::to_string(rank);
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, Place place)
    : store_(std::move(store)),
      place_(std::move(place)),
      beats_(place_.rank == 0 ? place_.names.size() : 1),
      lowest_since_(Clock::now()),
      last_tick_(Clock::now()),
      last_answer_(Clock::now()) {
  store_->set(beat_key(place_.rank), beat_text());
  for (Beat& beat : beats_) beat.since = Clock::now();
  thread_ = std::thread([this] { work(); });
  guard_ = std::thread([this] { guard(); });
}

Watch::~Watch() {
  stop();
}

void Watch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  wake_.notify_all();
  guard_.join();
}

void Watch::finish() {
  stop();
  try {
    wait_for_all(kFinished);
  } catch (const c10::Error&) {
    // It has not waited any longer.
  }
}

void Watch::mark(Activity activity) {
  activity_ = activity.name;
  patience_ = activity.patience;
  ++position_;
}

void Watch::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      tick();
    } catch (const c10::Error&) {
      // Rank 0 ended, in order or not; a cause that it could still tell would have been read.
      std::this_thread::sleep_for(leaving_ ? 0s : 1s);
      lock.lock();
      is_working_ = false;
      if (stopping_ || leaving_ || reported_) return;
      end_without_store();
    }
    lock.lock();
    last_answer_ = Clock::now();
    wake_.wait_for(lock, kBeat, [this] { return stopping_; });
  }
  is_working_ = false;
}

void Watch::guard() {
  std::unique_lock lock(mutex_);
  Clock::time_point last_look = Clock::now();
  while (is_working_) {
    wake_.wait_for(lock, kBeat, [this] { return !is_working_; });
    // Who was stopped himself has heard nobody.
    if (Clock::now() - last_look > kSilence / 2) last_answer_ = Clock::now();
    last_look = Clock::now();
    if (is_working_ && Clock::now() - last_answer_ > kSilence) end_without_store();
  }
}

void Watch::end_without_store() {
  log::error(
      concat("the job ends: ", place_.names[0],
             ": gone or not answering (killed, stopped, or its machine or network is down)"));
  _exit(1);
}

void Watch::tick() {
  const std::lock_guard lock(store_mutex_);
  store_->set(beat_key(place_.rank), beat_text());
  if (!reported_ && store_->check({kFailure})) end(store_->get_to_str(kFailure));

  const bool was_away = Clock::now() - last_tick_ > kSilence / 2;
  last_tick_ = Clock::now();
  read_beats();
  if (was_away) {
    for (Beat& beat : beats_) beat.since = Clock::now();
    lowest_since_ = Clock::now();
  }
  if (leaving_) return;
  look_for_silence();
  if (place_.rank == 0) look_for_stall();
}

std::string Watch::beat_text() {
  return concat(++count_, " ", position_, " ", patience_, " ", activity_);
}

void Watch::read_beats() {
  std::vector<std::string> keys;
  for (size_t rank = 0; rank < beats_.size(); ++rank) keys.push_back(beat_key(rank));
  const std::vector<std::vector<uint8_t>> texts = store_->multiGet(keys);
  for (size_t rank = 0; rank < beats_.size(); ++rank) {
    std::istringstream text(std::string(texts[rank].begin(), texts[rank].end()));
    Beat beat;
    text >> beat.count >> beat.position >> beat.patience >> std::ws;
    std::getline(text, beat.activity);
    beat.since = beat.count == beats_[rank].count ? beats_[rank].since : Clock::now();
    beats_[rank] = std::move(beat);
  }
}

void Watch::look_for_silence() {
  const auto limit = suspicious_ || store_->check({"suspicion"}) ? kSuspectedSilence : kSilence;
  for (size_t rank = 0; rank < beats_.size(); ++rank) {
    const auto silence = Clock::now() - beats_[rank].since;
    if (static_cast<int>(rank) == place_.rank || silence < limit) continue;
    publish(concat(place_.names[rank], ": not heard of for ", fixed(seconds(silence), 0),
                   " s (killed, stopped, or its machine or network is down)"));
    end(store_->get_to_str(kFailure));
  }
}

// A rank that lags behind the others, who wait for it, and does not move.
void Watch::look_for_stall() {
  const auto position = [](const Beat& beat) { return beat.position; };
  const auto [slowest, fastest] = std::ranges::minmax_element(beats_, {}, position);
  const double pause = seconds(Clock::now() - lowest_since_);
  if (slowest->position != lowest_) {
    lowest_ = slowest->position;
    lowest_since_ = Clock::now();
    return;
  }
  if (slowest->position == fastest->position) {
    // All are at the same work, however long it takes; how long is a measure for what follows.
    if (!slowest->patience) longest_pause_ = std::max(longest_pause_, pause);
    if (slowest->patience || pause < kPatience) return;
    publish(concat("all ranks: no progress for ", fixed(pause, 0), " s while ", slowest->activity,
                   "; a device or the network hangs"));
    end(store_->get_to_str(kFailure));
  }
  const double limit =
      slowest->patience ? kPatience : std::max(place_.timeout, kPauses * longest_pause_);
  if (pause < limit) return;
  publish(concat(place_.names[slowest - beats_.begin()], ": no progress for ", fixed(pause, 0),
                 " s while ", slowest->activity,
                 "; where that may take so long, raise dist.timeout"));
  end(store_->get_to_str(kFailure));
}

// Whether this was the first cause.
bool Watch::publish(const std::string& text) {
  return store_->compareSet(kFailure, std::string(), text) == text;
}

void Watch::report(const std::string& cause) {
  const std::lock_guard lock(store_mutex_);
  try {
    if (store_->check({kFailure})) end(store_->get_to_str(kFailure));
    reported_ = true;
    publish(concat(place_.names[place_.rank], ": ", cause));
    wait_for_all(kSeen);
  } catch (const c10::Error&) {
    // Rank 0 is gone; the others notice that themselves.
  }
}

void Watch::suspect() {
  suspicious_ = true;
  try {
    const std::lock_guard lock(store_mutex_);
    store_->set("suspicion", std::string("1"));
  } catch (const c10::Error&) {
    // Rank 0 is gone, which the thread is about to say.
  }
  std::this_thread::sleep_for(kSuspicion);
}

// The process that holds the store stays until the others have come here too.
void Watch::wait_for_all(const std::string& key) {
  store_->add(key, 1);
  const auto start = Clock::now();
  while (place_.holds_store && Clock::now() - start < kLastWords &&
         store_->add(key, 0) < static_cast<int64_t>(place_.names.size())) {
    std::this_thread::sleep_for(50ms);
  }
}

// The main thread may wait for the others for ever, so nothing is unwound.
void Watch::end(const std::string& text) {
  log::error(concat("the job ends: ", text));
  try {
    wait_for_all(kSeen);
  } catch (const c10::Error&) {
  }
  _exit(1);
}

}  // namespace vim::dist
