#include "shm/robust_lock.h"

#include <linux/futex.h>

#include <thread>

#include "doctest/doctest.h"
#include "os/memory.h"
#include "test/child.h"
#include "test/crash_point.h"

namespace actor_ipc {

namespace {

struct Shared {
  Fd file;
  Mapping mapping;

  Shared() { REQUIRE(CreateMemory("test", PageBytes(), Access::kShared, &file, &mapping).ok()); }
  Word* word() const { return reinterpret_cast<Word*>(mapping.base()); }
};

Status Take(RobustLock* lock, bool* owner_died) {
  for (;;)
    if (const Status status = lock->Acquire(owner_died); status.code() != Code::kLocked) return status;
}

}  // namespace

TEST_SUITE("robust_lock") {
  TEST_CASE("a free lock is taken and given back without a word of anybody's death") {
    const Shared shared;
    RobustLock lock(shared.word());
    for (int i = 0; i < 3; i++) {
      bool owner_died = true;
      REQUIRE(lock.Acquire(&owner_died).ok());
      CHECK_FALSE(owner_died);
      CHECK(shared.word()->load() != 0);
      lock.Release();
      CHECK(shared.word()->load() == 0);
    }
  }

  TEST_CASE("who finds it held is told so, at once") {
    const Shared shared;
    Cue held;
    Child holder([&] {
      bool owner_died = false;
      if (!RobustLock(shared.word()).Acquire(&owner_died).ok()) return 1;
      held.Give();
      return WaitForever();
    });
    REQUIRE(held.Await());
    bool owner_died = false;
    CHECK(RobustLock(shared.word()).Acquire(&owner_died).code() == Code::kLocked);
    // Also while the holder is stopped: only its death opens the lock.
    ::kill(holder.pid(), SIGSTOP);
    CHECK(RobustLock(shared.word()).Acquire(&owner_died).code() == Code::kLocked);
  }

  TEST_CASE("the death of the holder opens the lock, and the next one is told once") {
    const Shared shared;
    for (int i = 0; i < 20; i++) {
      Cue held;
      Child holder([&] {
        bool owner_died = false;
        if (!RobustLock(shared.word()).Acquire(&owner_died).ok()) return 1;
        held.Give();
        return WaitForever();
      });
      REQUIRE(held.Await());
      ::kill(holder.pid(), SIGKILL);
      RobustLock lock(shared.word());
      bool owner_died = false;
      REQUIRE(Take(&lock, &owner_died).ok());
      CHECK(owner_died);
      lock.Release();
      REQUIRE(Take(&lock, &owner_died).ok());
      CHECK_FALSE(owner_died);
      lock.Release();
    }
  }

  TEST_CASE("a thread that ends with the lock counts as dead, though its process lives") {
    const Shared shared;
    std::thread([&] {
      bool owner_died = false;
      CHECK(RobustLock(shared.word()).Acquire(&owner_died).ok());
    }).join();
    RobustLock lock(shared.word());
    bool owner_died = false;
    REQUIRE(Take(&lock, &owner_died).ok());
    CHECK(owner_died);
    lock.Release();
  }

  TEST_CASE("whoever is killed between any two steps leaves a lock that can be taken") {
    const Shared shared;
    const auto section = [&] {
      RobustLock lock(shared.word());
      bool owner_died = false;
      if (!Take(&lock, &owner_died).ok()) return 1;
      lock.Release();
      return 0;
    };
    DieAtCrashPoint(0);
    REQUIRE(section() == 0);
    const uint64_t steps = CrashPointsPassed();
    REQUIRE(steps == 4);
    for (uint64_t step = 1; step <= steps; step++) {
      CAPTURE(step);
      Child victim([&] {
        DieAtCrashPoint(step);
        return section();
      });
      REQUIRE(victim.Reap() == -SIGKILL);
      RobustLock lock(shared.word());
      bool owner_died = false;
      REQUIRE(lock.Acquire(&owner_died).ok());
      // Held from its second step to its third.
      CHECK(owner_died == (step == 2 || step == 3));
      lock.Release();
    }
  }

  TEST_CASE("nobody but the holder is in the lock, in threads and in processes") {
    const Shared shared;
    auto* const inside = reinterpret_cast<Word*>(shared.mapping.base() + kLineBytes);
    // Plain memory beside it: ThreadSanitizer sees a lock that orders nothing.
    auto* const plain = reinterpret_cast<uint32_t*>(shared.mapping.base() + 2 * kLineBytes);
    const auto work = [&] {
      RobustLock lock(shared.word());
      for (int i = 0; i < 5000; i++) {
        bool owner_died = false;
        if (!Take(&lock, &owner_died).ok() || owner_died) return 1;
        if (inside->fetch_add(1) != 0) return 2;
        ++*plain;
        inside->fetch_sub(1);
        lock.Release();
      }
      return 0;
    };
    Child one(work);
    Child other(work);
    int results[2] = {-1, -1};
    std::thread first([&] { results[0] = work(); });
    results[1] = work();
    first.join();
    CHECK(results[0] == 0);
    CHECK(results[1] == 0);
    CHECK(one.Reap() == 0);
    CHECK(other.Reap() == 0);
    CHECK(*plain == 20000);
  }

  TEST_CASE("a word that was scribbled over is at worst a lock that stays held") {
    const Shared shared;
    bool owner_died = false;
    RobustLock lock(shared.word());
    for (const uint32_t scribble : {1u, 12345u, FUTEX_TID_MASK + 0u, 0xffffffffu}) {
      shared.word()->store(scribble);
      CHECK(lock.Acquire(&owner_died).code() == Code::kLocked);
    }
    // And what is scribbled while it is held is not believed to be a pointer at the holder's death.
    Child holder([&] {
      bool died = false;
      shared.word()->store(0);
      if (!RobustLock(shared.word()).Acquire(&died).ok()) return 1;
      shared.word()->store(0x41414141);
      RobustLock(shared.word()).Release();
      return 0;
    });
    CHECK(holder.Reap() == 0);
  }
}

}  // namespace actor_ipc
