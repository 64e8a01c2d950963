#include "os/fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace actor_ipc {

namespace {

enum class SlotState : uint32_t { kFree, kFilling, kNamed };

/// One row of the table. The handler may meet it in any state, so its fields are atomic; a name that is being written is
/// not looked at.
struct Slot {
  std::atomic<SlotState> state{SlotState::kFree};
  std::atomic<uintptr_t> base{0};
  std::atomic<size_t> bytes{0};
  char name[kFaultNameMax] = {};
};

// A signal handler gets no argument of ours, and signals are a matter of the whole process: so this one table is global.
Slot slots[kFaultRangesMax];
/// Slots from here on have never been used.
std::atomic<size_t> slots_used{0};
std::atomic<bool> installed{false};
struct sigaction previous_segv;
struct sigaction previous_bus;

/// A line put together without an allocation.
class Line {
 public:
  void Text(const char* text) {
    while (*text != 0) Put(*text++);
  }
  void Number(uint64_t number) {
    char digits[20];
    size_t count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) Put(digits[--count]);
  }
  void Send() {
    Put('\n');
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, bytes_, count_);
  }

 private:
  void Put(char byte) {
    if (count_ < sizeof bytes_) bytes_[count_++] = byte;
  }
  char bytes_[640];
  size_t count_ = 0;
};

enum class Touch { kRead, kWrite, kUnknown };

Touch TouchOf([[maybe_unused]] const void* context) {
#if defined(__x86_64__)
  // Bit 1 of the page fault's error code: the processor was writing.
  const auto* machine = static_cast<const ucontext_t*>(context);
  return (machine->uc_mcontext.gregs[REG_ERR] & 2) != 0 ? Touch::kWrite : Touch::kRead;
#elif defined(__aarch64__)
  // The exception syndrome stands in a list of tagged records; bit 6 of it says that the processor was writing.
  const auto* machine = static_cast<const ucontext_t*>(context);
  const auto* at = reinterpret_cast<const uint8_t*>(machine->uc_mcontext.__reserved);
  const uint8_t* end = at + sizeof machine->uc_mcontext.__reserved;
  while (at + sizeof(_aarch64_ctx) <= end) {
    _aarch64_ctx head;
    memcpy(&head, at, sizeof head);
    if (head.magic == ESR_MAGIC) {
      esr_context syndrome;
      memcpy(&syndrome, at, sizeof syndrome);
      return (syndrome.esr & (1u << 6)) != 0 ? Touch::kWrite : Touch::kRead;
    }
    if (head.magic == 0 || head.size < sizeof head) break;
    at += head.size;
  }
  return Touch::kUnknown;
#else
  return Touch::kUnknown;
#endif
}

const Slot* NamedAt(uintptr_t address) {
  const Slot* found = nullptr;
  const size_t used = slots_used.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; i++) {
    const Slot& slot = slots[i];
    if (slot.state.load(std::memory_order_acquire) != SlotState::kNamed) continue;
    const uintptr_t base = slot.base.load(std::memory_order_relaxed);
    if (address - base >= slot.bytes.load(std::memory_order_relaxed)) continue;
    if (found == nullptr || slot.bytes.load(std::memory_order_relaxed) < found->bytes.load(std::memory_order_relaxed))
      found = &slot;
  }
  return found;
}

void Tell(int signal, const Slot& slot, uintptr_t address, const void* context) {
  const Touch touch = TouchOf(context);
  Line line;
  line.Text("actor-ipc: process ");
  line.Number(static_cast<uint64_t>(::getpid()));
  line.Text(touch == Touch::kWrite ? " wrote to byte " : touch == Touch::kRead ? " failed to read byte " : " touched byte ");
  line.Number(address - slot.base.load(std::memory_order_relaxed));
  line.Text(" of ");
  line.Text(slot.name);
  if (touch != Touch::kRead && signal == SIGSEGV)
    line.Text(", memory that belongs to the peer and is read-only here; copy what was received before changing it");
  line.Text(signal == SIGSEGV ? "; it dies by SIGSEGV" : "; it dies by SIGBUS");
  line.Send();
}

/// The one before us decides what becomes of the process.
void PassOn(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal == SIGSEGV ? previous_segv : previous_bus;
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(signal, info, context);
  // Nobody outlives a fault by ignoring it: the kernel kills then too.
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  if (previous.sa_handler == SIG_IGN && info->si_code <= 0) return;
  struct sigaction fatal {};
  fatal.sa_handler = SIG_DFL;
  ::sigaction(signal, &fatal, nullptr);
  // Blocked while we are in the handler, so it comes when we return. A fault would come again by itself, a signal that
  // somebody sent would not.
  ::raise(signal);
}

void OnFault(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  // One that was sent carries no address.
  if (info->si_code > 0) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    if (const Slot* slot = NamedAt(address); slot != nullptr) Tell(signal, *slot, address, context);
  }
  errno = error;
  PassOn(signal, info, context);
}

}  // namespace

void InstallLastWord() {
  if (installed.exchange(true)) return;
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  // V8 runs its threads' handlers on a stack of their own.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  // Read first: a fault between the two calls must find who to pass it on to.
  ::sigaction(SIGSEGV, nullptr, &previous_segv);
  ::sigaction(SIGBUS, nullptr, &previous_bus);
  ::sigaction(SIGSEGV, &action, nullptr);
  ::sigaction(SIGBUS, &action, nullptr);
}

bool LastWordInstalled() { return installed.load(); }

FaultName::FaultName(const void* base, size_t bytes, const char* name) {
  for (size_t i = 0; i < kFaultRangesMax; i++) {
    Slot& slot = slots[i];
    SlotState free = SlotState::kFree;
    if (slot.state.load(std::memory_order_relaxed) != free || !slot.state.compare_exchange_strong(free, SlotState::kFilling))
      continue;
    slot.base.store(reinterpret_cast<uintptr_t>(base), std::memory_order_relaxed);
    slot.bytes.store(bytes, std::memory_order_relaxed);
    const size_t length = std::min(::strlen(name), kFaultNameMax - 1);
    memcpy(slot.name, name, length);
    slot.name[length] = 0;
    size_t used = slots_used.load(std::memory_order_relaxed);
    while (used <= i && !slots_used.compare_exchange_weak(used, i + 1)) {
    }
    slot.state.store(SlotState::kNamed, std::memory_order_release);
    slot_ = i;
    return;
  }
}

FaultName::~FaultName() {
  if (slot_ != kNone) slots[slot_].state.store(SlotState::kFree, std::memory_order_release);
}

}  // namespace actor_ipc
