// Datagram: a bell with a name. Whoever may enter its folder rings it by a byte; its owner alone can read it.
//
// Thread safety: free functions on descriptors.
// A bell that is still full of unread rings counts as rung. A byte says why it was rung, but nobody may rely on it: of many
// rings the kernel keeps the first few.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// A bell at `path` with `mode`, replacing a socket file that nobody reads.
/// REQUIRES: no living process has a bell of that name. Errors: kTooLarge, kSystem.
Status BindBell(const char* path, mode_t mode, Fd* bell);

/// A socket to ring from, for one that has no bell of its own. Errors: kSystem.
Status OpenRinger(Fd* ringer);

/// Rings the bell at `path` from our own or a ringer. Errors: kGone (nobody has that bell), kTooLarge, kSystem.
Status RingBell(int own, const char* path, uint8_t why);

/// Sends one text to whoever listens at `path`; a leading '@' means a name without a file. Errors: kGone (nobody does),
/// kAgain (its queue is full), kTooLarge, kSystem.
Status SendText(const char* path, const char* text);

struct Rings {
  uint32_t count = 0;
  /// The bytes of all rings, or-ed.
  uint8_t why = 0;
};

/// Takes the rings that have come, at most 256 of them. Never blocks.
Rings ClearBell(int bell);

}  // namespace actor_ipc
