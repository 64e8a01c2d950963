#include "test/crash_point.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "shm/crash_point.h"

namespace actor_ipc {

namespace {

std::atomic<uint64_t> passed{0};
std::atomic<uint64_t> deadly{0};
std::atomic<bool> naming{false};
std::set<std::string> names;

void Meet(const char* name) {
  if (naming) names.insert(name);
  if (++passed == deadly) ::kill(::getpid(), SIGKILL);
}

}  // namespace

void DieAtCrashPoint(uint64_t number) {
  at_crash_point = Meet;
  passed = 0;
  deadly = number;
}

uint64_t CrashPointsPassed() { return passed; }

void NameCrashPoints(bool on) {
  at_crash_point = Meet;
  naming = on;
}

const std::set<std::string>& CrashPointNames() { return names; }

}  // namespace actor_ipc
