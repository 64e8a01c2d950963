// What the programs at the other end of a test in JavaScript have in common.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "os/status.h"
#include "test/random.h"

namespace actor_ipc {

/// Inherited: a packet socket, and a segment of the one who started us.
inline constexpr int kSocket = 3;
inline constexpr int kSegment = 4;

[[noreturn]] inline void Fail(const std::string& why) {
  fprintf(stderr, "peer: %s\n", why.c_str());
  exit(1);
}

inline void Check(const Status& status) {
  if (!status.ok()) Fail(std::string(status.step()) + ": " + strerror(status.error()));
}

struct RandomRecord {
  uint32_t kind = 0;
  uint32_t flags = 0;
  std::vector<uint8_t> payload;
};

/// One in eight has fewer than `limit` bytes, the others fewer than 64. test/support/transport/random-record.ts and
/// test/transport/broadcast-ring.test.ts draw the same.
inline void Draw(Random* random, uint32_t limit, RandomRecord* record) {
  const uint32_t bytes = random->Below(random->Below(8) == 0 ? limit : 64);
  record->kind = 2 + random->Below(254);
  record->flags = random->Below(256);
  random->Fill(&record->payload, bytes);
}

}  // namespace actor_ipc
