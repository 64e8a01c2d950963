// Region: shared memory that many processes write, with users, a pool of blocks and pipes by name.
//
// Thread safety: one Region in one thread; many of them, in many processes, over the same memory file.
// One robust lock guards the whole region: pool and pipes change together, and a call holds it for less than a
// microsecond. A call that doesn't get it answers kLocked and has changed nothing.
// Invariants
//  1. A call happens as a whole or not at all, whenever its process is killed (shm/journal.h). Who gets the lock of a
//     dead holder puts his half of a call back before he does anything else.
//  2. What a user has (blocks, packets, waits, its slot) is given back by itself or once the kernel vouches that its
//     process has ended, never because time has passed. Its slot comes last, so whoever is killed while he recovers
//     leaves the rest to be found.
//  3. Numbers that stand in the region are checked before they are used. What can't be comes out as kBadLayout; a user
//     that scribbles over the region can break it, but not the processes of the others.
//  4. What the calls of a Region hand out as a block is a number of that Region alone, never a place in the memory.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "os/fd.h"
#include "os/memory.h"
#include "os/status.h"
#include "shm/journal.h"
#include "shm/pipe.h"
#include "shm/pool.h"
#include "shm/region_layout.h"
#include "shm/robust_lock.h"

namespace actor_ipc {

/// Formats a new region of at least `bytes`. Errors: kTooLarge (not within kRegionBytesMin and kRegionBytesMax), kSystem.
Status CreateRegion(uint64_t bytes, Fd* file, Mapping* mapping);

/// Maps a received region and checks its header. Errors: those of MapForWriting, kBadLayout.
Status AttachRegion(int file, uint64_t bytes_max, Mapping* mapping);

struct RegionUser {
  uint32_t slot = 0;
  pid_t pid = 0;
  uint64_t ticks = 0;
};

struct RegionStats {
  PoolStats pool;
  uint32_t repairs = 0;
  uint32_t users = 0;
};

struct PipeStats {
  uint32_t capacity = 0;
  uint32_t packets = 0;
  uint32_t unacknowledged = 0;
  uint64_t enqueued = 0;
  uint64_t dequeued = 0;
};

/// What becomes of a packet that is dequeued.
enum class Take : uint8_t {
  kCopy,         // it is gone: `data` is valid until the next call, or until Release if `block` is not 0
  kAcknowledge,  // it stays in the pipe, with us, until Ack or Reject
  kBlock,        // it is gone from the pipe, its block is ours until Release
};

struct Delivery {
  uint64_t block = 0;
  const uint8_t* data = nullptr;
  uint32_t bytes = 0;
  uint32_t deliveries = 0;
};

class Region {
 public:
  /// Up to this many bytes of a packet are copied under the lock: a second turn of it costs more than the copy.
  static constexpr uint32_t kCopyInsideMax = 4096;

  /// `mapping` comes from CreateRegion or AttachRegion.
  explicit Region(std::shared_ptr<Mapping> mapping);
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  /// Leaves, and tells nobody of the packets that it puts back, which LeaveInTime does: others find them when they look.
  /// If the lock can't be had, what we have is given back once our process has ended.
  ~Region();

  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }
  const uint8_t* generation() const { return header_->generation; }
  /// -1 while we are no user.
  int slot() const { return slot_; }

  // A call that lacks memory, or room or a packet without `wait`, first gives back what users that are dead had.
  // Every call can also answer kLocked, and kBadLayout if the region makes no sense. All that change a pipe or have a
  // block also kClosed (we have not joined) and kGone (others have recovered our slot).

  /// Takes a user slot for this process. Errors: kFull.
  Status Join();
  Status Leave();
  /// Tries to leave for about a millisecond: for whoever has no later. Those to be told of it come out of TakeRings.
  Status LeaveInTime();
  Status Users(std::vector<RegionUser>* users);
  /// Gives back what that user has; nothing if it is no longer in that slot. Errors: kBusy (its process is alive).
  Status Recover(const RegionUser& user);

  /// Finds a pipe, or makes it if `capacity` is not 0. Errors: kNotFound, kMismatch, kFull, kNoMemory, kTooLarge.
  Status OpenPipe(std::string_view name, uint32_t capacity, uint32_t* pipe);
  /// Errors: kAgain (no room; we are told if `wait`), kNoMemory, kNotFound (no such pipe).
  Status Enqueue(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait);
  /// Errors: kAgain (empty; we are told if `wait`), kNotFound.
  Status Dequeue(uint32_t pipe, Take take, bool wait, Delivery* delivery);
  /// The end of a packet that was taken with kAcknowledge. Errors: kNotFound.
  Status Ack(uint64_t block) { return Settle(block, true); }
  Status Reject(uint64_t block) { return Settle(block, false); }
  Status Unwait(uint32_t pipe);

  /// A block of our own; the caller fills `data`. Errors: kNoMemory.
  Status Construct(size_t bytes, uint64_t* block, uint8_t** data);
  /// Errors: kAgain, kNotFound (no such pipe, no such block).
  Status EnqueueBlock(uint32_t pipe, uint64_t block, bool wait);
  /// A block that we hold or have not acknowledged. Errors: kNotFound. Takes no lock.
  Status View(uint64_t block, const uint8_t** data, uint32_t* bytes) const;
  /// Errors: kNotFound.
  Status Release(uint64_t block);
  /// Releases now, or with the next call that gets the lock.
  void ReleaseSoon(uint64_t block);

  /// Who is to be told, as a mask of user slots; each once.
  uint64_t TakeRings();
  /// Whether that is anybody.
  bool RingsDue() const { return rings_ != 0; }

  Status Stats(RegionStats* stats);
  Status StatsOf(uint32_t pipe, PipeStats* stats);

 private:
  class Section;

  /// What stands behind a number that we have handed out.
  struct Held {
    uint32_t block = 0;
    uint32_t serial = 0;
    uint32_t bytes = 0;
    /// For an unacknowledged packet, its pipe and entry; else 0.
    uint32_t pipe = 0;
    uint32_t entry = 0;
  };

  Status CheckUser() const;
  Status PipeAt(uint32_t pipe, std::optional<Pipe>* found);
  Status NewPipe(PipeRecord* record, std::string_view name, uint32_t capacity);
  Status EnqueueOnce(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait);
  Status DequeueOnce(uint32_t pipe, Take take, bool wait, Delivery* delivery);
  Status ConstructOnce(size_t bytes, uint64_t* block, uint8_t** data);
  Status EnqueueBlockOnce(uint32_t pipe, uint64_t block, bool wait);
  Status EnqueueLarge(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait);
  Status PushBlock(Pipe* pipe, uint32_t block, PoolBlock* header);
  Status Unqueue(uint32_t block, PoolBlock* header);
  Status Unhold(const Held& held);
  Status Settle(uint64_t block, bool done);
  Status WaitFor(Word64* mask, bool wait);
  void StopWaiting(Word64* mask, uint32_t slot);
  void RingOne(Word64* mask);
  void RingSome(const Pipe& pipe);
  Status Clear(uint32_t slot);
  Status ClearPipe(Pipe* pipe, uint32_t slot);
  Status ClearBlocks(uint32_t slot);
  Status Finish();
  void LookForDead();
  bool RecoverDead();
  template <typename Attempt>
  Status Reclaiming(bool wait, Attempt attempt);
  uint64_t Remember(const Held& held);
  void Forget(uint64_t block);

  std::shared_ptr<Mapping> mapping_;
  const RegionHeader* header_;
  LockLine* lock_line_;
  UserSlot* users_;
  PipeRecord* pipes_;
  RobustLock lock_;
  Journal journal_;
  Pool pool_;

  int slot_ = -1;
  uint32_t slot_generation_ = 0;
  std::unordered_map<uint64_t, Held> held_;
  /// How many of those hold the same block: its one bit in the region stands for all of them.
  std::unordered_map<uint32_t, uint32_t> holds_;
  uint64_t last_number_ = 0;
  /// Blocks to be released with the next call that gets the lock.
  std::vector<Held> late_;
  uint64_t rings_ = 0;
  /// Rings of the call under way, which count once it is committed.
  uint64_t due_rings_ = 0;
  uint32_t turn_ = 0;
  /// Nobody asks for our rings any more, so those who wait are left to be told by others.
  bool silent_ = false;
  /// While this lies ahead, a user has died lately and may not have been found yet; 0 for never.
  uint64_t look_until_ns_ = 0;
  uint64_t look_at_ns_ = 0;
  /// When a call that lacks something may look for dead users again.
  uint64_t reclaim_at_ns_ = 0;
  std::vector<uint8_t> scratch_;
};

}  // namespace actor_ipc
