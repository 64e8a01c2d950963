// Cache limit: what a cache allows without JavaScript, for bench/: one process, and the table alone.
//
//   actor_ipc_cache_limit ROLE OPERATION RECORDS BYTES WARM_UP_MS MEASURE_MS
//
// ROLE is driver or responder; the responder says "ready" and waits for the end of its input. OPERATION is get, set or
// delete (with a set before each, and counted once). The driver prints calls a second of processor time and MB/s as one line of JSON. As in
// bench/cache-peer.ts, keys come in an order in which neighbours in time are none in memory, and a get copies the value.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "shm/cache.h"

namespace actor_ipc {

namespace {

/// bench/cache-peer.ts has the same.
constexpr uint64_t kStride = 7919;
constexpr uint32_t kCallsPerLook = 64;

[[noreturn]] void Fail(const std::string& why) {
  fprintf(stderr, "cache limit: %s\n", why.c_str());
  exit(1);
}

void Check(const Status& status) {
  if (!status.ok()) Fail(status.step());
}

double NowMs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

class Load {
 public:
  Load(const std::string& operation, uint32_t records, uint32_t bytes)
      : gets_(operation == "get"), deletes_(operation == "delete"), value_bytes_(bytes, 7) {
    CacheShape shape;
    shape.capacity = records;
    shape.record_bytes = bytes;
    Mapping mapping;
    Check(CreateCache(shape, &file_, &mapping));
    cache_ = std::make_unique<Cache>(std::make_shared<Mapping>(std::move(mapping)));
    Check(cache_->Join());
    value_.bytes = value_bytes_.data();
    value_.count = bytes;
    for (uint64_t n = 0; n < records; n++) keys_.push_back("session-" + std::to_string(n * kStride % records) + "-0123456789");
    CacheAnswer answer;
    for (const std::string& key : keys_) Check(cache_->Set(key, value_, NowMs(), &answer));
  }

  /// Calls a second of processor time.
  double Run(double duration_ms) {
    const double began_ms = NowMs();
    const double used_ms = NowMs(CLOCK_PROCESS_CPUTIME_ID);
    const double until_ms = began_ms + duration_ms;
    double now_ms = began_ms;
    uint64_t calls = 0;
    do {
      for (uint32_t i = 0; i < kCallsPerLook; i++) Call(keys_[calls++ % keys_.size()], now_ms);
      now_ms = NowMs();
    } while (now_ms < until_ms);
    return static_cast<double>(calls) / (NowMs(CLOCK_PROCESS_CPUTIME_ID) - used_ms) * 1e3;
  }

 private:
  void Call(const std::string& key, double now_ms) {
    CacheAnswer answer;
    if (gets_) {
      Check(cache_->Get(key, now_ms, &found_));
      if (found_.bytes.size() != value_.count) Fail("a value has another length");
      return;
    }
    Check(cache_->Set(key, value_, now_ms, &answer));
    if (deletes_) Check(cache_->Delete(key, kAnyRevision, 0, 0, now_ms, &answer));
  }

  bool gets_;
  bool deletes_;
  std::vector<uint8_t> value_bytes_;
  CacheValue value_;
  CacheFound found_;
  Fd file_;
  std::unique_ptr<Cache> cache_;
  std::vector<std::string> keys_;
};

}  // namespace

}  // namespace actor_ipc

int main(int argc, char** argv) {
  using namespace actor_ipc;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc != 7) Fail("it takes ROLE OPERATION RECORDS BYTES WARM_UP_MS MEASURE_MS");
  const uint32_t bytes = static_cast<uint32_t>(strtoul(argv[4], nullptr, 10));
  char line[16];
  if (strcmp(argv[1], "responder") == 0) {
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != nullptr) continue;
    return 0;
  }
  if (fgets(line, sizeof line, stdin) == nullptr) return 0;
  Load load(argv[2], static_cast<uint32_t>(strtoul(argv[3], nullptr, 10)), bytes);
  (void)load.Run(strtod(argv[5], nullptr));
  const double calls = load.Run(strtod(argv[6], nullptr));
  printf("{\"messages\":%.0f,\"megabytes\":%.1f}\n", calls, calls * bytes / 1e6);
  return 0;
}
