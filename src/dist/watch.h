// Each rank's thread that tells the others it is alive, and that ends this process, whatever the
// main thread waits for, once some rank has failed.
//
// Every half second a rank writes a beat into the store that all ranks share: a count, how far its
// main thread has come, and what it is at. Rank 0 reads all of them, the others rank 0's, so the
// traffic is linear in the number of ranks. Who finds a rank silent, or its own main thread
// throwing, writes the cause into the store, where the first cause wins and everyone finds it. A
// second thread guards the first one: a request to a store whose process is stopped never returns.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "vim/dist/process_group.h"

namespace vim::dist {

class Watch {
 public:
  struct Place {
    int rank;
    std::vector<std::string> names;  // of all ranks: "rank 1 (host a, pid 12)"
    bool holds_store;                // whether the store ends with this process
    double timeout;                  // DistConfig's
  };

  // `store` is this thread's own connection.
  Watch(c10::intrusive_ptr<c10d::Store> store, Place place);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void mark(Activity activity);

  // This rank has failed for a reason of its own. Returns when the others know, or cannot be told.
  void report(const std::string& cause);

  // An operation with the others has failed, so one of them may be gone: silence is believed
  // sooner. Waits for the cause, which ends this process; returns where none is found.
  void suspect();

  // From here on the store may end at any time.
  void leave() { leaving_ = true; }

  void stop();

  // The orderly end: stops, and where this process holds the store waits for the others to do so,
  // who would find it gone and say that.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Beat {
    int64_t count = -1;
    int64_t position = -1;
    bool patience = true;
    std::string activity;
    Clock::time_point since;  // of `count`, by this rank's clock
  };

  void work();
  void tick();
  void guard();
  [[noreturn]] void end_without_store();
  std::string beat_text();
  void read_beats();
  void look_for_silence();
  void look_for_stall();
  bool publish(const std::string& text);
  void wait_for_all(const std::string& key);
  [[noreturn]] void end(const std::string& text);

  c10::intrusive_ptr<c10d::Store> store_;
  const Place place_;
  std::atomic<int64_t> position_ = 0;
  std::atomic<const char*> activity_ = "starting";
  std::atomic<bool> patience_ = true;
  std::atomic<bool> leaving_ = false, suspicious_ = false, reported_ = false;

  // The thread's own.
  int64_t count_ = 0;
  std::vector<Beat> beats_;  // by rank; others than rank 0 know only that one
  int64_t lowest_ = -1;      // position of the slowest rank
  Clock::time_point lowest_since_, last_tick_;
  double longest_pause_ = 0;  // between two positions of the slowest rank, in seconds

  std::mutex store_mutex_;  // held while `store_` is in use

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;          // guarded by mutex_
  bool is_working_ = true;         // guarded by mutex_
  Clock::time_point last_answer_;  // of the store to the thread, guarded by mutex_
  std::thread thread_, guard_;
};

}  // namespace vim::dist
