#include "shm/robust_lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "shm/crash_point.h"

namespace actor_ipc {

namespace {

/// What the kernel knows about this thread, asked once.
struct Thread {
  robust_list_head* list = nullptr;
  uint32_t number = 0;
};

thread_local Thread this_thread;

Status KnowThisThread() {
  if (this_thread.number != 0) return Status::Ok();
  // The child of a fork has the memory of its parent, and another number.
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] { this_thread = Thread{}; });
  if (registered != 0) return Status::System(registered, "pthread_atfork");
  robust_list_head* list = nullptr;
  size_t bytes = 0;
  if (::syscall(SYS_get_robust_list, 0, &list, &bytes) != 0) return Status::System(errno, "get_robust_list");
  if (list == nullptr) return Status::System(ENOSYS, "get_robust_list");
  this_thread = Thread{list, static_cast<uint32_t>(::syscall(SYS_gettid))};
  return Status::Ok();
}

/// Names `word` in this thread's robust list. Only the kernel reads it, at this thread's death, so what matters is the
/// order of the instructions of this thread; the signal fence keeps the compiler from changing it.
void Announce(Word* word) {
  char* const entry = reinterpret_cast<char*>(word) - this_thread.list->futex_offset;
  *const_cast<robust_list* volatile*>(&this_thread.list->list_op_pending) = reinterpret_cast<robust_list*>(entry);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void Withdraw() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *const_cast<robust_list* volatile*>(&this_thread.list->list_op_pending) = nullptr;
}

uint64_t NowNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

Status RobustLock::Acquire(bool* owner_died) {
  if (Status status = KnowThisThread(); !status.ok()) return status;
  Announce(word_);
  CRASH_POINT("lock.announced");
  uint64_t deadline_ns = 0;
  for (uint32_t turn = 0;; turn++) {
    uint32_t seen = word_->load(std::memory_order_relaxed);  // Relaxed: the exchange below decides.
    // SYNC lock-held: pairs with the store in Release, and with the kernel's when a holder has died.
    if ((seen & FUTEX_TID_MASK) == 0 && word_->compare_exchange_strong(seen, this_thread.number, std::memory_order_acquire,
                                                                        std::memory_order_relaxed)) {
      CRASH_POINT("lock.taken");
      *owner_died = (seen & FUTEX_OWNER_DIED) != 0;
      return Status::Ok();
    }
    if (turn % 16 == 0) {
      const uint64_t now_ns = NowNs();
      if (deadline_ns == 0) deadline_ns = now_ns + kLockSpinNs;
      if (now_ns >= deadline_ns) break;
    }
    Pause();
  }
  Withdraw();
  return Status::Of(Code::kLocked, "lock");
}

void RobustLock::Release() {
  CRASH_POINT("lock.releasing");
  // SYNC lock-held: pairs with the exchange in Acquire.
  word_->store(0, std::memory_order_release);
  CRASH_POINT("lock.released");
  Withdraw();
}

}  // namespace actor_ipc
