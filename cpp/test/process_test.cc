#include "os/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "doctest/doctest.h"
#include "test/child.h"

namespace actor_ipc {

namespace {

/// A number that was a process's and is free again.
pid_t EndedPid() {
  Child child([] { return 0; });
  const pid_t pid = child.pid();
  child.Reap();
  return pid;
}

void AwaitEnd(const Fd& process) {
  pollfd ready{process.get(), POLLIN, 0};
  REQUIRE(::poll(&ready, 1, -1) == 1);
}

}  // namespace

TEST_SUITE("process") {
  TEST_CASE("start ticks stay the same for one process, and lie between those before and after it") {
    uint64_t own = 0;
    uint64_t again = 0;
    REQUIRE(StartTicks(::getpid(), &own).ok());
    REQUIRE(StartTicks(::getpid(), &again).ok());
    CHECK(own > 0);
    CHECK(own == again);
    const Child child(WaitForever);
    uint64_t childs = 0;
    REQUIRE(StartTicks(child.pid(), &childs).ok());
    CHECK(childs >= own);
    uint64_t inits = 0;
    REQUIRE(StartTicks(1, &inits).ok());
    CHECK(inits <= own);
  }

  TEST_CASE("names with spaces and parentheses don't shift the start ticks") {
    for (const char* name : {"a) b (c", ") S 1 2 3", "((((", "))))", "a b c", ""}) {
      Cue ready;
      const Child plain(WaitForever);
      const Child named([&] {
        ::prctl(PR_SET_NAME, name);
        ready.Give();
        return WaitForever();
      });
      REQUIRE(ready.Await());
      uint64_t wanted = 0;
      uint64_t ticks = 0;
      REQUIRE(StartTicks(plain.pid(), &wanted).ok());
      REQUIRE(StartTicks(named.pid(), &ticks).ok());
      // Started one after the other; a shifted field would be off by orders of magnitude.
      CHECK(ticks >= wanted);
      CHECK(ticks < wanted + 1000);
    }
  }

  TEST_CASE("a process that has ended and was reaped has no start ticks") {
    uint64_t ticks = 0;
    CHECK(StartTicks(EndedPid(), &ticks).code() == Code::kGone);
  }

  TEST_CASE("the boot has an id of 36 characters that does not change") {
    char id[64];
    char again[64];
    REQUIRE(BootId(id, sizeof id).ok());
    REQUIRE(BootId(again, sizeof again).ok());
    CHECK(strlen(id) == 36);
    CHECK(strcmp(id, again) == 0);
  }

  TEST_CASE("opening takes number and start ticks together, or the number alone") {
    const Child child(WaitForever);
    uint64_t ticks = 0;
    REQUIRE(StartTicks(child.pid(), &ticks).ok());
    Fd process;
    CHECK(OpenProcess(child.pid(), ticks, &process).ok());
    CHECK(process.valid());
    CHECK(OpenProcess(child.pid(), 0, &process).ok());
    CHECK_FALSE(ProcessEnded(process.get()));
  }

  TEST_CASE("opening with another's start ticks answers kGone") {
    const Child child(WaitForever);
    uint64_t ticks = 0;
    REQUIRE(StartTicks(child.pid(), &ticks).ok());
    Fd process;
    for (const uint64_t other : {ticks + 1, ticks - 1, uint64_t{1}, UINT64_MAX}) {
      CHECK(OpenProcess(child.pid(), other, &process).code() == Code::kGone);
      CHECK_FALSE(process.valid());
    }
  }

  TEST_CASE("opening a process that has ended and was reaped answers kGone") {
    Fd process;
    CHECK(OpenProcess(EndedPid(), 0, &process).code() == Code::kGone);
    CHECK_FALSE(process.valid());
  }

  TEST_CASE("opening what is no process number is an error of the system") {
    Fd process;
    for (const pid_t number : {0, -1}) {
      const Status status = OpenProcess(number, 0, &process);
      CHECK(status.code() == Code::kSystem);
      CHECK(status.error() == EINVAL);
    }
  }

  TEST_CASE("an opened process turns ended when it is killed, before it is reaped") {
    Child child(WaitForever);
    Fd process;
    REQUIRE(OpenProcess(child.pid(), 0, &process).ok());
    CHECK_FALSE(ProcessEnded(process.get()));
    REQUIRE(SignalProcess(process.get(), SIGKILL).ok());
    AwaitEnd(process);
    CHECK(ProcessEnded(process.get()));
    CHECK(child.Reap() == -SIGKILL);
    CHECK(ProcessEnded(process.get()));
  }

  TEST_CASE("signalling a process after its end answers kGone") {
    Child child([] { return 7; });
    Fd process;
    REQUIRE(OpenProcess(child.pid(), 0, &process).ok());
    AwaitEnd(process);
    CHECK(child.Reap() == 7);
    CHECK(SignalProcess(process.get(), SIGTERM).code() == Code::kGone);
    CHECK(SignalProcess(process.get(), 0).code() == Code::kGone);
  }

  TEST_CASE("what is no signal, or no process, is an error of the system") {
    const Child child(WaitForever);
    Fd process;
    REQUIRE(OpenProcess(child.pid(), 0, &process).ok());
    CHECK(SignalProcess(process.get(), 1000).error() == EINVAL);
    CHECK(SignalProcess(-1, SIGTERM).error() == EBADF);
  }
}

}  // namespace actor_ipc
