// A cache and its users, for tests; and what must be true of one while nobody is at work in it.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shm/cache.h"

namespace actor_ipc {

/// The first thing that is wrong with a cache, or an empty string; seen without the code that keeps it so.
inline std::string CacheProblem(const Mapping& mapping) {
  const auto* header = reinterpret_cast<const CacheHeader*>(mapping.base());
  const CachePlaces places = CachePlaces::Of(header->shape);
  for (uint32_t index = 0; index < header->shape.shards; index++) {
    uint8_t* base = mapping.base() + kShardsOffset + index * places.shard_bytes;
    const auto* line = reinterpret_cast<const ShardLine*>(base + kShardLineOffset);
    const auto* journal = reinterpret_cast<const JournalLine*>(base + kShardJournalOffset);
    const auto* buckets = reinterpret_cast<const Word*>(base + kBucketsOffset);
    const auto at = [&](uint32_t number) {
      return reinterpret_cast<const CacheRecord*>(base + places.records_offset +
                                                  uint64_t{number - 1} * places.record_stride);
    };
    const auto* lock = reinterpret_cast<const LockLine*>(base);
    if (lock->lock != 0) return "the lock is held";
    if (journal->count != 0) return "the journal has entries";
    const uint32_t capacity = places.capacity + (index < places.odd ? 1 : 0);
    if (line->lists[kLiveList].length > capacity) return "more live records than the capacity";
    if (line->lists[kDeadList].length > places.tombstones) return "more tombstones than have room";
    // Each record that was ever used is in exactly one list, linked both ways, and the list knows its length.
    std::vector<int> listed(places.records + 1, -1);
    for (const CacheList list : {kSpareList, kLiveList, kDeadList}) {
      uint32_t length = 0;
      uint32_t newer = 0;
      for (uint32_t number = line->lists[list].newest; number != 0; number = at(number)->older) {
        if (number > places.records) return "a list leaves the table";
        if (listed[number] >= 0) return "a record is in two lists";
        listed[number] = static_cast<int>(list);
        if (at(number)->list != list) return "a record says that it is in another list";
        if (list != kSpareList && at(number)->newer != newer) return "a list is not linked back";
        newer = number;
        if (++length > places.records) return "a list is a circle";
      }
      if (length != line->lists[list].length) return "a list has another length";
      if (list != kSpareList && line->lists[list].oldest != newer) return "a list has another end";
    }
    if (line->used > places.records) return "more records are used than there are";
    for (uint32_t number = 1; number <= places.records; number++)
      if ((listed[number] < 0) != (number > line->used)) return "a record is in no list, or in one though it was never used";
    if (line->lists[kSpareList].length == 0 && line->used == places.records) return "no record is spare";
    // Each record that counts is in exactly one chain, that of its hash, whole, and alone with its key.
    std::set<std::string> keys;
    uint32_t chained = 0;
    for (uint32_t bucket = 0; bucket < places.buckets; bucket++) {
      uint32_t steps = 0;
      for (uint32_t number = buckets[bucket]; number != 0; number = at(number)->next) {
        if (number > places.records || ++steps > places.records) return "a chain makes no sense";
        const CacheRecord* record = at(number);
        if (listed[number] == static_cast<int>(kSpareList)) return "a spare record is in a chain";
        if ((record->hash & (places.buckets - 1)) != bucket) return "a record is in another chain";
        if ((record->version & 1) != 0) return "a record in a chain is being written";
        const uint32_t shape = record->shape;
        const bool dead = (shape >> 8 & 3) == static_cast<uint32_t>(ValueForm::kForgotten);
        if (dead != (listed[number] == static_cast<int>(kDeadList))) return "a tombstone lives";
        if (!keys.insert(std::string(reinterpret_cast<const char*>(record + 1), shape & 0xff)).second)
          return "a key is there twice";
        chained++;
      }
    }
    if (chained != line->lists[kLiveList].length + line->lists[kDeadList].length) return "a record is in no chain";
  }
  return "";
}

inline CacheValue ValueOf(const std::string& text) {
  CacheValue value;
  value.form = ValueForm::kText;
  value.bytes = reinterpret_cast<const uint8_t*>(text.data());
  value.count = static_cast<uint32_t>(text.size());
  return value;
}

}  // namespace actor_ipc
