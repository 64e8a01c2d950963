// Fault: the last word of a process that has touched memory in a way that its mapping forbids, which JavaScript can do only
// to a mapping of its peer's memory. Without it such a process dies by SIGSEGV and nobody learns why.
//
// Thread safety: all functions may be called from any thread; the handler looks at the table while others change it.
// Invariants
//  1. The handler allocates nothing, takes no lock and calls only what POSIX allows in a signal handler.
//  2. Whatever it finds, it passes the signal on to who had it before (V8 turns faults of WebAssembly into errors); if that
//     was the default, the process dies by it. It never lets a process live on that would have died without it.
//  3. A range is named before its mapping can be used and forgotten before it is unmapped, so no name is ever stale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace actor_ipc {

/// Names that fit at once; ranges beyond them stay without a name.
inline constexpr size_t kFaultRangesMax = 8192;
/// Bytes of a name; a longer one is cut.
inline constexpr size_t kFaultNameMax = 160;

/// Installs the handler for SIGSEGV and SIGBUS, once in a process: calling it again changes nothing.
void InstallLastWord();
bool LastWordInstalled();

/// The name of a range of memory for the last word, for as long as this object lives. Of ranges that overlap the smallest
/// one is named.
class FaultName {
 public:
  FaultName() = default;
  FaultName(const void* base, size_t bytes, const char* name);
  FaultName(FaultName&& other) noexcept : slot_(std::exchange(other.slot_, kNone)) {}
  FaultName& operator=(FaultName&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  FaultName(const FaultName&) = delete;
  FaultName& operator=(const FaultName&) = delete;
  ~FaultName();

 private:
  static constexpr size_t kNone = ~size_t{0};
  size_t slot_ = kNone;
};

}  // namespace actor_ipc
