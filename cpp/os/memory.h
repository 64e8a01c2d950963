// Memory by descriptor: sealed memory files and the mappings of them.
//
// Thread safety: free functions; a Mapping may be read from any thread and is unmapped by its destructor.
// Invariants
//  1. Nothing here has a name in a file system: when the last descriptor and the last mapping go, so does the memory.
//  2. A file can neither shrink nor grow after CreateMemory, so a reader never meets SIGBUS through truncation.
//  3. With Access::kOwnerOnly no mapping that can be written exists but the one CreateMemory made.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

class Mapping {
 public:
  Mapping() = default;
  Mapping(void* base, size_t bytes, bool writable) : base_(base), bytes_(bytes), writable_(writable) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  uint8_t* base() const { return static_cast<uint8_t*>(base_); }
  size_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }

 private:
  void* base_ = nullptr;
  size_t bytes_ = 0;
  bool writable_ = false;
};

static_assert(!std::is_copy_constructible_v<Mapping>);

enum class Access : uint8_t {
  kOwnerOnly,  // F_SEAL_FUTURE_WRITE: only the creator's mapping can write; pages can't be given back
  kShared,     // whoever holds the descriptor may map it for writing (pipes, caches, arenas lent read-only)
};

/// Creates a zero-filled memory file of `bytes` (a multiple of the page size), maps it for writing and seals it.
/// Errors: kSystem with the step that the kernel refused.
Status CreateMemory(const char* label, size_t bytes, Access access, Fd* file, Mapping* mapping);

/// Checks that a received descriptor is a sealed memory file of exactly `bytes` <= `bytesMax` and maps it to read.
/// Errors: kBadSegment (not sealed, not memory, another size), kTooLarge, kSystem.
Status MapForReading(int file, size_t bytes, size_t bytesMax, Mapping* mapping);

/// The same, to read and write. Errors: also kSystem with EPERM for a file that only its creator can write.
Status MapForWriting(int file, size_t bytes, size_t bytesMax, Mapping* mapping);

/// A descriptor of the same file that can be mapped only to read, also after it has been handed on. Errors: kSystem.
Status OpenForReading(int file, Fd* reading);

/// Gives the whole pages within that range of a writable mapping back to the system; they read as zeroes afterwards, for
/// everybody. REQUIRES: made with Access::kShared. Errors: kTooLarge (outside the mapping), kSystem.
Status GivePagesBack(const Mapping& mapping, size_t offset, size_t bytes);

/// The size that fstat gives of `file`. Errors: kSystem.
Status MemoryBytes(int file, size_t* bytes);

size_t PageBytes();

}  // namespace actor_ipc
