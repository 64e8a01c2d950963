// Key hash: XXH32 of the key of a cache. JavaScript computes the same for each read (src/transport/key-hash.ts), which is
// why it is the 32-bit one: JavaScript multiplies 32 bits at once, and XXH3 would take it several times as long. Nothing but
// the place in the table hangs on it, since keys are stored and compared in full.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace actor_ipc {

inline uint32_t KeyHash(const uint8_t* bytes, uint32_t count, uint32_t seed) {
  constexpr uint32_t kPrimes[] = {2654435761u, 2246822519u, 3266489917u, 668265263u, 374761393u};
  const auto word = [](const uint8_t* at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
  };
  const uint8_t* at = bytes;
  const uint8_t* const end = bytes + count;
  uint32_t hash = seed + kPrimes[4];
  if (count >= 16) {
    uint32_t lanes[] = {seed + kPrimes[0] + kPrimes[1], seed + kPrimes[1], seed, seed - kPrimes[0]};
    for (; end - at >= 16; at += 16)
      for (int i = 0; i < 4; i++) lanes[i] = std::rotl(lanes[i] + word(at + 4 * i) * kPrimes[1], 13) * kPrimes[0];
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  }
  hash += count;
  for (; end - at >= 4; at += 4) hash = std::rotl(hash + word(at) * kPrimes[2], 17) * kPrimes[3];
  for (; at < end; at++) hash = std::rotl(hash + *at * kPrimes[4], 11) * kPrimes[0];
  hash = (hash ^ hash >> 15) * kPrimes[1];
  hash = (hash ^ hash >> 13) * kPrimes[2];
  return hash ^ hash >> 16;
}

}  // namespace actor_ipc
