// Status: how everything below the addon says that something failed.
//
// Thread safety: a plain value.
// A Status names the step that failed and, where the kernel refused, its errno. Exceptions are not used below the
// addon; the addon alone turns a Status into a JavaScript error (cpp/addon/convert.h holds the one table).
#pragma once

#include <cstdint>

namespace actor_ipc {

enum class Code : uint8_t {
  kOk,
  kSystem,        // the kernel refused: see error()
  kAgain,         // nothing now; try again when the descriptor is ready
  kClosed,        // the other end is gone
  kReset,         // the other end went away with unread data; queued packets may still follow
  kBadSegment,    // the descriptor is not a sealed memory file of an acceptable size
  kBadLayout,     // the memory was not formatted by a compatible version
  kTooLarge,      // larger than the stated limit
  kBadPacket,     // a packet was truncated, empty, or carried more descriptors than allowed
  kUnsafeFolder,  // a run directory that others could reach or that is not ours
  kBusy,          // somebody else holds it
  kGone,          // the process has ended, or its number now belongs to another one
  kLocked,        // the lock of a region is held; try again on a later turn
  kFull,          // all places of a table are taken
  kNoMemory,      // the pool of a region has no block of that size
  kMismatch,      // it is there already, and different
  kNotFound,      // nothing has that number
};

class [[nodiscard]] Status {
 public:
  static constexpr Status Ok() { return Status(Code::kOk, 0, ""); }
  static constexpr Status Of(Code code, const char* step) { return Status(code, 0, step); }
  /// REQUIRES: `step` is a string literal; `error` is an errno value.
  static constexpr Status System(int error, const char* step) { return Status(Code::kSystem, error, step); }

  constexpr bool ok() const { return code_ == Code::kOk; }
  constexpr Code code() const { return code_; }
  constexpr int error() const { return error_; }
  constexpr const char* step() const { return step_; }

 private:
  constexpr Status(Code code, int error, const char* step) : code_(code), error_(error), step_(step) {}

  Code code_;
  int error_;
  const char* step_;
};

}  // namespace actor_ipc
