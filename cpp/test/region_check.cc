#include "test/region_check.h"

#include <map>
#include <set>
#include <vector>

#include "shm/region_layout.h"

namespace actor_ipc {

namespace {

struct Block {
  const PoolBlock* header;
  uint32_t grains;
  bool free;
  bool data;
};

class Check {
 public:
  explicit Check(const Mapping& mapping) : base_(mapping.base()), end_(static_cast<uint32_t>(mapping.bytes() / kGrainBytes)) {}

  std::string Problem() {
    Lock();
    if (problem_.empty()) Blocks();
    if (problem_.empty()) FreeLists();
    if (problem_.empty()) Pipes();
    if (problem_.empty()) Holders();
    return problem_;
  }

 private:
  void Wrong(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }
  template <typename T>
  const T* At(uint64_t offset) const {
    return reinterpret_cast<const T*>(base_ + offset);
  }
  bool Used(uint32_t slot) const { return At<UserSlot>(kUsersOffset)[slot].pid != 0; }
  void OnlyUsers(uint64_t mask, const std::string& what) {
    for (uint32_t slot = 0; slot < kUsersMax; slot++)
      if ((mask >> slot & 1) != 0 && !Used(slot)) Wrong(what + " of slot " + std::to_string(slot) + ", which is free");
  }

  void Lock() {
    if (At<LockLine>(kLockLineOffset)->lock != 0) Wrong("the lock is held");
    if (At<JournalLine>(kJournalOffset)->count != 0) Wrong("the journal has entries");
  }

  void Blocks() {
    const auto* pool = At<PoolLine>(kPoolLineOffset);
    uint32_t before = 0;
    uint32_t used = 0;
    uint32_t free = 0;
    uint32_t count = 0;
    bool was_free = false;
    uint32_t at = kPoolOffset / kGrainBytes;
    while (at < end_) {
      const auto* header = At<PoolBlock>(uint64_t{at} * kGrainBytes);
      const Block block{header, header->grains, header->state == static_cast<uint32_t>(BlockState::kFree),
                        header->state == static_cast<uint32_t>(BlockState::kData)};
      const std::string name = "block " + std::to_string(at);
      if (!block.free && !block.data && header->state != static_cast<uint32_t>(BlockState::kTable))
        return Wrong(name + " is of no kind");
      if (block.grains == 0) return Wrong(name + " is empty");
      if (header->before != before) return Wrong(name + " does not know the one before it");
      if (block.free && was_free) return Wrong(name + " is free beside a free one");
      if (block.free) free += block.grains;
      if (block.data) used += block.grains;
      count += block.data;
      blocks_[at] = block;
      before = block.grains;
      was_free = block.free;
      at += block.grains;
    }
    if (at != end_) Wrong("the blocks end elsewhere than the pool");
    if (pool->used_grains != used) Wrong("used grains are counted wrong");
    if (pool->free_grains != free) Wrong("free grains are counted wrong");
    if (pool->used_blocks != count) Wrong("blocks are counted wrong");
  }

  void FreeLists() {
    const auto* pool = At<PoolLine>(kPoolLineOffset);
    std::set<uint32_t> listed;
    uint32_t largest_before = 0;
    for (uint32_t bin = 0; bin < kBins; bin++) {
      uint32_t previous = 0;
      uint32_t largest = 0;
      for (uint32_t at = pool->bins[bin]; at != 0; at = blocks_[at].header->holders.low) {
        const auto found = blocks_.find(at);
        if (found == blocks_.end() || !found->second.free) return Wrong("a list has what is no free block");
        if (!listed.insert(at).second) return Wrong("a free block is listed twice");
        if (found->second.header->holders.high != previous) return Wrong("a list does not lead back");
        if (found->second.grains <= largest_before) return Wrong("a list has blocks of another size");
        largest = std::max(largest, found->second.grains);
        previous = at;
      }
      largest_before = std::max(largest_before, largest);
      const bool filled = (pool->filled[bin / 32] >> bin % 32 & 1) != 0;
      if (filled != (pool->bins[bin] != 0)) return Wrong("a list is marked wrong");
    }
    for (const auto& [at, block] : blocks_)
      if (block.free && !listed.contains(at)) return Wrong("free block " + std::to_string(at) + " is not listed");
  }

  void Pipes() {
    for (uint32_t i = 0; i < kPipesMax; i++) {
      const PipeRecord& pipe = At<PipeRecord>(kPipesOffset)[i];
      if (pipe.capacity == 0) continue;
      const std::string name = "pipe " + std::to_string(i);
      const auto* entries = At<PipeEntry>(uint64_t{pipe.table} * kGrainBytes + sizeof(PoolBlock));
      std::vector<bool> met(pipe.capacity);
      uint32_t waiting = 0;
      uint32_t last = 0;
      uint64_t order = 0;
      for (uint32_t at = pipe.head; at != 0; at = entries[at - 1].next) {
        if (at > pipe.capacity || met[at - 1]) return Wrong(name + ": the packets go round");
        const PipeEntry& entry = entries[at - 1];
        if (entry.state != static_cast<uint32_t>(EntryState::kWaiting)) return Wrong(name + ": a packet does not wait");
        if (Load64(entry.order) <= order) return Wrong(name + ": packets out of order");
        order = Load64(entry.order);
        met[at - 1] = true;
        last = at;
        waiting++;
        named_[entry.block]++;
      }
      if (pipe.tail != last) return Wrong(name + ": the youngest packet is another");
      if (pipe.packets != waiting) return Wrong(name + ": packets are counted wrong");
      for (uint32_t at = pipe.spare; at != 0; at = entries[at - 1].next) {
        if (at > pipe.capacity || met[at - 1]) return Wrong(name + ": the spare entries go round");
        if (entries[at - 1].state != static_cast<uint32_t>(EntryState::kSpare)) return Wrong(name + ": a spare is none");
        met[at - 1] = true;
      }
      uint32_t unacknowledged = 0;
      for (uint32_t at = 0; at < pipe.capacity; at++) {
        if (met[at]) continue;
        if (entries[at].state != static_cast<uint32_t>(EntryState::kUnacknowledged))
          return Wrong(name + ": an entry is lost");
        if (!Used(entries[at].owner)) return Wrong(name + ": a packet is with a slot that is free");
        named_[entries[at].block]++;
        unacknowledged++;
      }
      if (pipe.unacknowledged != unacknowledged) return Wrong(name + ": unacknowledged packets are counted wrong");
      if (Load64(pipe.enqueued) - Load64(pipe.dequeued) != waiting + unacknowledged)
        return Wrong(name + ": what went in is not what came out and what is there");
      OnlyUsers(Load64(pipe.want_packet), name + " has a wait");
      OnlyUsers(Load64(pipe.want_room), name + " has a wait");
    }
  }

  void Holders() {
    for (const auto& [at, block] : blocks_) {
      if (!block.data) continue;
      const std::string name = "block " + std::to_string(at);
      const auto found = named_.find(at);
      const uint32_t named = found == named_.end() ? 0 : found->second;
      if (block.header->queued != named) return Wrong(name + " counts its packets wrong");
      if (named == 0 && Load64(block.header->holders) == 0) return Wrong(name + " is in use by nobody");
      OnlyUsers(Load64(block.header->holders), name + " has a holder");
      named_.erase(at);
    }
    if (!named_.empty()) Wrong("a packet names what is no block");
  }

  const uint8_t* base_;
  uint32_t end_;
  std::map<uint32_t, Block> blocks_;
  /// In how many entries of pipes each block stands.
  std::map<uint32_t, uint32_t> named_;
  std::string problem_;
};

}  // namespace

std::string RegionProblem(const Mapping& mapping) { return Check(mapping).Problem(); }

}  // namespace actor_ipc
