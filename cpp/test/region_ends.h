// A region and the users of it, for tests.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "shm/region.h"
#include "test/region_check.h"

namespace actor_ipc {

struct RegionFile {
  Fd file;
  std::shared_ptr<Mapping> mapping;

  explicit RegionFile(uint64_t bytes = 256 << 10) {
    Mapping mapped;
    REQUIRE(CreateRegion(bytes, &file, &mapped).ok());
    mapping = std::make_shared<Mapping>(std::move(mapped));
  }
  /// Over the mapping of the creator.
  Region Here() const { return Region(mapping); }
  /// Over a mapping of its own, as another process has it.
  Region Elsewhere() const {
    Mapping mapped;
    REQUIRE(AttachRegion(file.get(), UINT32_MAX, &mapped).ok());
    return Region(std::make_shared<Mapping>(std::move(mapped)));
  }
  std::string Problem() const { return RegionProblem(*mapping); }
};

inline Status Send(Region* region, uint32_t pipe, const std::string& text, bool wait = false) {
  return region->Enqueue(pipe, reinterpret_cast<const uint8_t*>(text.data()), text.size(), wait);
}

inline std::string TextOf(const Delivery& delivery) {
  return std::string(reinterpret_cast<const char*>(delivery.data), delivery.bytes);
}

/// The next packet, copied; empty if there is none.
inline std::string Next(Region* region, uint32_t pipe, bool wait = false) {
  Delivery delivery;
  if (!region->Dequeue(pipe, Take::kCopy, wait, &delivery).ok()) return "";
  std::string text = TextOf(delivery);
  if (delivery.block != 0) region->ReleaseSoon(delivery.block);
  return text;
}

/// All that waits in a pipe, taken out of it.
inline std::vector<std::string> Drain(Region* region, uint32_t pipe) {
  std::vector<std::string> texts;
  for (std::string text = Next(region, pipe); !text.empty(); text = Next(region, pipe)) texts.push_back(std::move(text));
  return texts;
}

/// A pipe that is there or is made.
inline uint32_t PipeOf(Region* region, const char* name, uint32_t capacity = 4) {
  uint32_t pipe = kPipesMax;
  REQUIRE(region->OpenPipe(name, capacity, &pipe).ok());
  return pipe;
}

}  // namespace actor_ipc
