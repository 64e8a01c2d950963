// Random: xorshift32, so that a failure comes back with its seed. test/support/random.ts gives the same numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace actor_ipc {

class Random {
 public:
  /// REQUIRES: seed > 0.
  explicit Random(uint32_t seed) : state_(seed) {}

  uint32_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }

  uint32_t Below(uint32_t limit) { return Next() % limit; }

  /// Replaces `bytes` by `count` random ones.
  void Fill(std::vector<uint8_t>* bytes, uint32_t count) {
    bytes->resize(count);
    for (uint8_t& byte : *bytes) byte = static_cast<uint8_t>(Next());
  }

 private:
  uint32_t state_;
};

}  // namespace actor_ipc
