// Park: how a receiver goes to sleep without ever missing a message, and a sender wakes it without a needless call.
//
// Thread safety: the owner calls Park and Unpark; senders call ShouldRing.
// The word is epoch << 1 | parked. SYNC park-or-ring: the receiver stores the word and then looks at the tails once
// more, the sender stores its tail and then looks at the word. All four are sequentially consistent, so at least one of
// them sees the other: either the receiver finds the message or the sender rings. The epoch is what lets a sender ring
// once per sleep: a word without it could not tell this sleep from the one before.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/crash_point.h"
#include "shm/layout.h"

namespace actor_ipc {

/// Announces sleep. The caller looks at all its words once more after it, and calls Unpark if one has changed.
inline void Park(ParkLine* line) {
  const uint32_t word = line->park.load(std::memory_order_relaxed);  // Relaxed: we are the only writer.
  CRASH_POINT("park: before the store");
  line->park.store(((word >> 1) + 1) << 1 | 1, std::memory_order_seq_cst);
  CRASH_POINT("park: after the store");
}

inline void Unpark(ParkLine* line) {
  const uint32_t word = line->park.load(std::memory_order_relaxed);  // Relaxed: we are the only writer.
  CRASH_POINT("unpark: before the store");
  line->park.store(word & ~1u, std::memory_order_seq_cst);
  CRASH_POINT("unpark: after the store");
}

/// Whether to ring now. `rung` is the sender's own memory of the last word it has rung for.
inline bool ShouldRing(const ParkLine* line, uint32_t* rung) {
  const uint32_t word = line->park.load(std::memory_order_seq_cst);
  CRASH_POINT("should-ring: park word loaded");
  if ((word & 1) == 0 || word == *rung) return false;
  *rung = word;
  CRASH_POINT("should-ring: before the ring");
  return true;
}

}  // namespace actor_ipc
