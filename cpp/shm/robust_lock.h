// RobustLock: a lock between processes that survives the death of its holder, without a pointer in shared memory.
//
// Thread safety: any thread of any process that maps the word. All of them are in one pid namespace.
// The word is the thread number of the holder, or 0. Before a thread tries to take the lock it names the word in its
// own robust list (`list_op_pending`), which is private memory; when the thread dies, the kernel looks at the word that
// is named there and, if it holds that thread's number, replaces it by FUTEX_OWNER_DIED. A pthread robust mutex would
// keep links of that list in the shared memory, where any user could make them point elsewhere.
// Invariants
//  1. A thread holds at most one RobustLock at a time, and takes no pthread robust mutex while it does.
//  2. Nobody sleeps in here, so nobody has to be woken: who doesn't get the lock tries again later.
#pragma once

#include <cstdint>

#include "os/status.h"
#include "shm/layout.h"

namespace actor_ipc {

/// A holder is done within some microseconds; who has waited longer would keep its event loop from better things.
inline constexpr uint64_t kLockSpinNs = 50'000;

class RobustLock {
 public:
  explicit RobustLock(Word* word) : word_(word) {}

  /// Takes the lock; `owner_died` says whether its holder died with it, so that what it guards may be half done.
  /// Errors: kLocked (somebody else has it and kept it for kLockSpinNs), kSystem (no robust lists here).
  Status Acquire(bool* owner_died);

  /// REQUIRES: this thread has it.
  void Release();

 private:
  Word* word_;
};

}  // namespace actor_ipc
