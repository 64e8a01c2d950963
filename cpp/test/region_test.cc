#include "shm/region.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <set>
#include <thread>

#include "doctest/doctest.h"
#include "os/process.h"
#include "test/child.h"
#include "test/random.h"
#include "test/region_ends.h"

namespace actor_ipc {

namespace {

using Texts = std::vector<std::string>;

struct Users {
  RegionFile file;
  Region one;
  Region other;
  uint32_t pipe;

  explicit Users(uint32_t capacity = 4, uint64_t bytes = 256 << 10)
      : file(bytes), one(file.Here()), other(file.Elsewhere()) {
    REQUIRE(one.Join().ok());
    REQUIRE(other.Join().ok());
    pipe = PipeOf(&one, "words", capacity);
  }
  RegionStats Stats() {
    RegionStats stats;
    REQUIRE(one.Stats(&stats).ok());
    return stats;
  }
  uint64_t BitOf(const Region& region) const { return uint64_t{1} << region.slot(); }
};

Code AttachCode(int file, uint64_t bytes_max = UINT32_MAX) {
  Mapping mapping;
  const Code code = AttachRegion(file, bytes_max, &mapping).code();
  CHECK((code == Code::kOk) == (mapping.base() != nullptr));
  return code;
}

/// A forked user that does `body` and stays until it is killed. The region is told of its death by nobody.
struct Guest {
  Cue ready;
  RegionUser user;
  std::unique_ptr<Child> child;

  template <typename Body>
  Guest(const RegionFile& file, Body body) {
    child = std::make_unique<Child>([&] {
      Region region = file.Elsewhere();
      if (!region.Join().ok()) return 1;
      body(&region);
      ready.Give();
      return WaitForever();
    });
    REQUIRE(ready.Await());
    const auto* slots = reinterpret_cast<const UserSlot*>(file.mapping->base() + kUsersOffset);
    for (uint32_t slot = 0; slot < kUsersMax; slot++)
      if (static_cast<pid_t>(slots[slot].pid.load()) == child->pid())
        user = RegionUser{slot, child->pid(), Load64(slots[slot].ticks)};
    REQUIRE(user.pid == child->pid());
  }
  void Kill() {
    ::kill(child->pid(), SIGKILL);
    child->Reap();
  }
};

}  // namespace

TEST_SUITE("region") {
  TEST_CASE("a region of every size has its generation, its size and room") {
    std::set<std::string> generations;
    for (const uint64_t bytes : {kRegionBytesMin, kRegionBytesMin + 1, uint64_t{1'000'000}}) {
      const RegionFile file(bytes);
      Region region = file.Here();
      generations.insert(std::string(reinterpret_cast<const char*>(region.generation()), 16));
      CHECK(file.mapping->bytes() >= bytes);
      CHECK(file.mapping->bytes() < bytes + PageBytes());
      CHECK(file.Problem() == "");
      RegionStats stats;
      REQUIRE(region.Stats(&stats).ok());
      CHECK(stats.users == 0);
      CHECK(stats.repairs == 0);
    }
    CHECK(generations.size() == 3);
    Fd file;
    Mapping mapping;
    for (const uint64_t bytes : {uint64_t{0}, kRegionBytesMin - 1, kRegionBytesMax + 1, UINT64_MAX})
      CHECK(CreateRegion(bytes, &file, &mapping).code() == Code::kTooLarge);
  }

  TEST_CASE("attaching refuses what is no region, or another's, or too large") {
    const RegionFile good;
    CHECK(AttachCode(good.file.get()) == Code::kOk);
    CHECK(AttachCode(good.file.get(), good.mapping->bytes() - 1) == Code::kTooLarge);
    CHECK(AttachCode(-1) == Code::kSystem);
    const Fd plain(::open("/dev/null", O_RDWR | O_CLOEXEC));
    CHECK(AttachCode(plain.get()) == Code::kBadSegment);
    Fd unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::ftruncate(unsealed.get(), 1 << 20) == 0);
    CHECK(AttachCode(unsealed.get()) == Code::kBadSegment);
    for (const auto& [access, code] : {std::pair{Access::kOwnerOnly, Code::kSystem}, {Access::kShared, Code::kBadLayout}}) {
      Fd file;
      Mapping mapping;
      REQUIRE(CreateMemory("test", 1 << 20, access, &file, &mapping).ok());
      CHECK(AttachCode(file.get()) == code);
    }
    for (const size_t offset : {offsetof(RegionHeader, magic), offsetof(RegionHeader, layout_hash), offsetof(RegionHeader, bytes)}) {
      const RegionFile spoiled;
      spoiled.mapping->base()[offset] ^= 1;
      CHECK(AttachCode(spoiled.file.get()) == Code::kBadLayout);
    }
  }

  TEST_CASE("users have slots of their own, and give them back") {
    const RegionFile file;
    Region first = file.Here();
    {
      Region second = file.Elsewhere();
      CHECK(second.slot() == -1);
      REQUIRE(first.Join().ok());
      REQUIRE(second.Join().ok());
      REQUIRE(second.Join().ok());
      CHECK(first.slot() != second.slot());
      std::vector<RegionUser> users;
      REQUIRE(second.Users(&users).ok());
      REQUIRE(users.size() == 2);
      uint64_t ticks = 0;
      REQUIRE(StartTicks(::getpid(), &ticks).ok());
      for (const RegionUser& user : users) {
        CHECK(user.pid == ::getpid());
        CHECK(user.ticks == ticks);
      }
    }
    std::vector<RegionUser> users;
    REQUIRE(first.Users(&users).ok());
    CHECK(users.size() == 1);
    REQUIRE(first.Leave().ok());
    REQUIRE(first.Leave().ok());
    CHECK(first.slot() == -1);
    CHECK(file.Problem() == "");
  }

  TEST_CASE("a full region takes another user once one has left") {
    const RegionFile file;
    std::vector<std::unique_ptr<Region>> regions;
    for (uint32_t i = 0; i < kUsersMax; i++) {
      regions.push_back(std::make_unique<Region>(file.mapping));
      REQUIRE(regions.back()->Join().ok());
    }
    Region late = file.Here();
    CHECK(late.Join().code() == Code::kFull);
    regions.erase(regions.begin() + 7);
    REQUIRE(late.Join().ok());
    CHECK(late.slot() == 7);
  }

  TEST_CASE("who has not joined can look, and do nothing else") {
    Users users;
    Region stranger = users.file.Elsewhere();
    CHECK(Send(&stranger, users.pipe, "x").code() == Code::kClosed);
    CHECK(Send(&stranger, users.pipe, std::string(10000, 'x')).code() == Code::kClosed);
    Delivery delivery;
    CHECK(stranger.Dequeue(users.pipe, Take::kCopy, false, &delivery).code() == Code::kClosed);
    CHECK(stranger.Unwait(users.pipe).code() == Code::kClosed);
    uint64_t block = 0;
    uint8_t* data = nullptr;
    CHECK(stranger.Construct(10, &block, &data).code() == Code::kClosed);
    PipeStats stats;
    CHECK(stranger.StatsOf(users.pipe, &stats).ok());
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("a pipe is found by its name, and made only with a capacity") {
    Users users;
    uint32_t pipe = kPipesMax;
    CHECK(users.other.OpenPipe("words", 0, &pipe).ok());
    CHECK(pipe == users.pipe);
    CHECK(users.other.OpenPipe("words", 4, &pipe).ok());
    CHECK(users.other.OpenPipe("words", 5, &pipe).code() == Code::kMismatch);
    CHECK(users.other.OpenPipe("word", 0, &pipe).code() == Code::kNotFound);
    CHECK(users.other.OpenPipe("", 1, &pipe).code() == Code::kTooLarge);
    CHECK(users.other.OpenPipe(std::string(65, 'x'), 1, &pipe).code() == Code::kTooLarge);
    CHECK(users.other.OpenPipe(std::string(64, 'x'), 1, &pipe).ok());
    CHECK(pipe != users.pipe);
    CHECK(users.other.OpenPipe("many", kPipeCapacityMax + 1, &pipe).code() == Code::kTooLarge);
    CHECK(users.other.OpenPipe("many", kPipeCapacityMax, &pipe).code() == Code::kNoMemory);
    CHECK(users.file.Problem() == "");
    for (uint32_t i = 2; i < kPipesMax; i++) PipeOf(&users.one, ("pipe " + std::to_string(i)).c_str(), 1);
    CHECK(users.other.OpenPipe("one too many", 1, &pipe).code() == Code::kFull);
    CHECK(users.other.OpenPipe("pipe 63", 1, &pipe).ok());
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("packets come out in order, once, to whoever asks, and no more fit than the capacity") {
    Users users;
    for (const char* text : {"a", "b", "c", "d"}) CHECK(Send(&users.one, users.pipe, text).ok());
    CHECK(Send(&users.one, users.pipe, "e").code() == Code::kAgain);
    CHECK(Next(&users.other, users.pipe) == "a");
    CHECK(Next(&users.one, users.pipe) == "b");
    CHECK(Send(&users.other, users.pipe, "f").ok());
    CHECK(Drain(&users.other, users.pipe) == Texts{"c", "d", "f"});
    PipeStats stats;
    REQUIRE(users.one.StatsOf(users.pipe, &stats).ok());
    CHECK(stats.capacity == 4);
    CHECK(stats.packets == 0);
    CHECK(stats.enqueued == 5);
    CHECK(stats.dequeued == 5);
    CHECK(users.Stats().pool.blocks == 0);
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("packets of every size arrive as they were sent") {
    Users users;
    Random random(1);
    for (const uint32_t bytes : {0u, 1u, 31u, 32u, 33u, 4095u, 4096u, 4097u, 65536u}) {
      std::vector<uint8_t> sent;
      random.Fill(&sent, bytes);
      REQUIRE(users.one.Enqueue(users.pipe, sent.data(), bytes, false).ok());
      Delivery delivery;
      REQUIRE(users.other.Dequeue(users.pipe, Take::kCopy, false, &delivery).ok());
      CHECK(std::vector<uint8_t>(delivery.data, delivery.data + delivery.bytes) == sent);
      CHECK(delivery.deliveries == 1);
      if (delivery.block != 0) CHECK(users.other.Release(delivery.block).ok());
    }
    CHECK(users.Stats().pool.blocks == 0);
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("an unacknowledged packet keeps its place, a rejected one comes again, an acknowledged one is gone") {
    Users users;
    for (const char* text : {"a", "b", "c", "d"}) REQUIRE(Send(&users.one, users.pipe, text).ok());
    Delivery first;
    Delivery second;
    REQUIRE(users.other.Dequeue(users.pipe, Take::kAcknowledge, false, &first).ok());
    REQUIRE(users.other.Dequeue(users.pipe, Take::kAcknowledge, false, &second).ok());
    CHECK(TextOf(first) == "a");
    CHECK(Send(&users.one, users.pipe, "e").code() == Code::kAgain);
    // Put back in either order, they stand in the order of sending.
    CHECK(users.other.Reject(first.block).ok());
    CHECK(users.other.Reject(second.block).ok());
    CHECK(users.file.Problem() == "");
    REQUIRE(users.one.Dequeue(users.pipe, Take::kAcknowledge, false, &first).ok());
    CHECK(TextOf(first) == "a");
    CHECK(first.deliveries == 2);
    CHECK(users.one.Ack(first.block).ok());
    CHECK(Send(&users.one, users.pipe, "e").ok());
    CHECK(Drain(&users.one, users.pipe) == Texts{"b", "c", "d", "e"});
    CHECK(users.Stats().pool.blocks == 0);
  }

  TEST_CASE("a block goes into several pipes without a copy and is free once nobody has it") {
    Users users;
    const uint32_t second = PipeOf(&users.one, "more");
    uint64_t block = 0;
    uint8_t* data = nullptr;
    REQUIRE(users.one.Construct(5, &block, &data).ok());
    memcpy(data, "hello", 5);
    REQUIRE(users.one.EnqueueBlock(users.pipe, block, false).ok());
    REQUIRE(users.one.EnqueueBlock(second, block, false).ok());
    REQUIRE(users.one.Release(block).ok());
    CHECK(users.Stats().pool.blocks == 1);
    Delivery delivery;
    REQUIRE(users.other.Dequeue(users.pipe, Take::kBlock, false, &delivery).ok());
    CHECK(TextOf(delivery) == "hello");
    CHECK(delivery.data - users.other.mapping()->base() == data - users.one.mapping()->base());
    CHECK(Next(&users.one, second) == "hello");
    const uint8_t* seen = nullptr;
    uint32_t bytes = 0;
    REQUIRE(users.other.View(delivery.block, &seen, &bytes).ok());
    CHECK(bytes == 5);
    CHECK(users.file.Problem() == "");
    CHECK(users.Stats().pool.blocks == 1);
    REQUIRE(users.other.Release(delivery.block).ok());
    CHECK(users.Stats().pool.blocks == 0);
  }

  TEST_CASE("whoever gets his own block out of a pipe holds it twice") {
    Users users;
    uint64_t block = 0;
    uint8_t* data = nullptr;
    REQUIRE(users.one.Construct(5, &block, &data).ok());
    REQUIRE(users.one.EnqueueBlock(users.pipe, block, false).ok());
    Delivery delivery;
    REQUIRE(users.one.Dequeue(users.pipe, Take::kBlock, false, &delivery).ok());
    CHECK(delivery.block != block);
    REQUIRE(users.one.Release(block).ok());
    CHECK(users.Stats().pool.blocks == 1);
    CHECK(users.one.Release(block).code() == Code::kNotFound);
    REQUIRE(users.one.Release(delivery.block).ok());
    CHECK(users.Stats().pool.blocks == 0);
  }

  TEST_CASE("numbers that were never given or are used up name nothing") {
    Users users;
    REQUIRE(Send(&users.one, users.pipe, "a").ok());
    Delivery delivery;
    REQUIRE(users.one.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
    const uint8_t* data = nullptr;
    uint32_t bytes = 0;
    CHECK(users.one.Release(delivery.block).code() == Code::kNotFound);
    CHECK(users.one.EnqueueBlock(users.pipe, delivery.block, false).code() == Code::kNotFound);
    CHECK(users.other.Ack(delivery.block).code() == Code::kNotFound);
    REQUIRE(users.one.Ack(delivery.block).ok());
    for (const uint64_t block : {delivery.block, uint64_t{0}, uint64_t{77}, UINT64_MAX}) {
      CHECK(users.one.Ack(block).code() == Code::kNotFound);
      CHECK(users.one.Reject(block).code() == Code::kNotFound);
      CHECK(users.one.Release(block).code() == Code::kNotFound);
      CHECK(users.one.EnqueueBlock(users.pipe, block, false).code() == Code::kNotFound);
      CHECK(users.one.View(block, &data, &bytes).code() == Code::kNotFound);
    }
    for (const uint32_t pipe : {1u, kPipesMax - 1, kPipesMax, UINT32_MAX}) {
      CHECK(Send(&users.one, pipe, "x").code() == Code::kNotFound);
      CHECK(users.one.Dequeue(pipe, Take::kCopy, false, &delivery).code() == Code::kNotFound);
      CHECK(users.one.Unwait(pipe).code() == Code::kNotFound);
    }
    CHECK(users.one.Recover(RegionUser{kUsersMax, 1, 1}).code() == Code::kNotFound);
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("a pool that is used up refuses, and goes on once a packet is out") {
    Users users(64, kRegionBytesMin);
    uint32_t sent = 0;
    while (Send(&users.one, users.pipe, std::string(3000, 'x')).ok()) sent++;
    CHECK(sent > 3);
    CHECK(Send(&users.one, users.pipe, std::string(3000, 'x')).code() == Code::kNoMemory);
    CHECK(Send(&users.one, users.pipe, std::string(30000, 'x')).code() == Code::kNoMemory);
    uint64_t block = 0;
    uint8_t* data = nullptr;
    CHECK(users.one.Construct(30000, &block, &data).code() == Code::kNoMemory);
    CHECK(users.file.Problem() == "");
    CHECK(Next(&users.other, users.pipe).size() == 3000);
    CHECK(Send(&users.one, users.pipe, std::string(3000, 'x')).ok());
    CHECK(Drain(&users.other, users.pipe).size() == sent);
    CHECK(users.Stats().pool.blocks == 0);
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("who waits is told of a packet and of room, once and in turn") {
    Users users(1);
    const uint64_t one = users.BitOf(users.one);
    const uint64_t other = users.BitOf(users.other);
    CHECK(Next(&users.one, users.pipe, true) == "");
    CHECK(Next(&users.other, users.pipe, true) == "");
    Region sender = users.file.Elsewhere();
    REQUIRE(sender.Join().ok());
    CHECK(sender.TakeRings() == 0);
    REQUIRE(Send(&sender, users.pipe, "a").ok());
    const uint64_t first = sender.TakeRings();
    CHECK((first == one || first == other));
    CHECK(sender.TakeRings() == 0);
    // The one who was told takes it; the next packet is for the other.
    Region* const told = first == one ? &users.one : &users.other;
    CHECK(Next(told, users.pipe) == "a");
    REQUIRE(Send(&sender, users.pipe, "b").ok());
    CHECK(sender.TakeRings() == (first ^ one ^ other));
    CHECK(Send(&sender, users.pipe, "c", true).code() == Code::kAgain);
    CHECK(Next(&users.one, users.pipe) == "b");
    CHECK(users.one.TakeRings() == users.BitOf(sender));
    REQUIRE(Send(&sender, users.pipe, "c").ok());
    CHECK(sender.TakeRings() == 0);
  }

  TEST_CASE("who no longer waits is not told, and passes on what it was told of") {
    Users users(1);
    const uint64_t other = users.BitOf(users.other);
    Region sender = users.file.Elsewhere();
    REQUIRE(sender.Join().ok());
    CHECK(Next(&users.one, users.pipe, true) == "");
    REQUIRE(users.one.Unwait(users.pipe).ok());
    CHECK(users.one.TakeRings() == 0);
    REQUIRE(Send(&sender, users.pipe, "a").ok());
    CHECK(sender.TakeRings() == 0);
    CHECK(Next(&sender, users.pipe) == "a");
    CHECK(Next(&users.one, users.pipe, true) == "");
    REQUIRE(Send(&sender, users.pipe, "b").ok());
    CHECK(sender.TakeRings() == users.BitOf(users.one));
    // The other one comes to wait for "b" only by way of an empty pipe.
    CHECK(Next(&sender, users.pipe) == "b");
    CHECK(Next(&users.other, users.pipe, true) == "");
    REQUIRE(Send(&sender, users.pipe, "c").ok());
    CHECK(sender.TakeRings() == other);
    REQUIRE(users.other.Unwait(users.pipe).ok());
    CHECK(users.other.TakeRings() == 0);
    CHECK(Next(&users.one, users.pipe) == "c");
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("a packet that comes back wakes one who waits, an acknowledged one makes room") {
    Users users(1);
    REQUIRE(Send(&users.one, users.pipe, "a").ok());
    Delivery delivery;
    REQUIRE(users.one.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
    CHECK(Next(&users.other, users.pipe, true) == "");
    REQUIRE(users.one.Reject(delivery.block).ok());
    CHECK(users.one.TakeRings() == users.BitOf(users.other));
    REQUIRE(users.one.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
    CHECK(Send(&users.other, users.pipe, "b", true).code() == Code::kAgain);
    REQUIRE(users.one.Ack(delivery.block).ok());
    CHECK(users.one.TakeRings() == users.BitOf(users.other));
  }

  TEST_CASE("who leaves gives back blocks, packets and waits") {
    Users users;
    const uint32_t idle = PipeOf(&users.one, "idle");
    for (const char* text : {"a", "b", "c"}) REQUIRE(Send(&users.one, users.pipe, text).ok());
    Delivery delivery;
    REQUIRE(users.other.Dequeue(users.pipe, Take::kBlock, false, &delivery).ok());
    REQUIRE(users.other.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
    CHECK(Next(&users.other, idle, true) == "");
    uint64_t block = 0;
    uint8_t* data = nullptr;
    REQUIRE(users.other.Construct(5000, &block, &data).ok());
    REQUIRE(users.other.Leave().ok());
    CHECK(users.file.Problem() == "");
    CHECK(Send(&users.other, users.pipe, "x").code() == Code::kClosed);
    CHECK(users.other.Release(block).code() == Code::kNotFound);
    CHECK(Drain(&users.one, users.pipe) == Texts{"b", "c"});
    REQUIRE(Send(&users.one, idle, "d").ok());
    CHECK(users.one.TakeRings() == 0);
    CHECK(Next(&users.one, idle) == "d");
    CHECK(users.Stats().pool.blocks == 0);
  }

  TEST_CASE("who is destroyed without leaving takes nobody's wait away") {
    Users users;
    {
      Region guest = users.file.Elsewhere();
      REQUIRE(guest.Join().ok());
      REQUIRE(Send(&guest, users.pipe, "a").ok());
      Delivery delivery;
      REQUIRE(guest.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
      CHECK(Next(&users.other, users.pipe, true) == "");
    }
    REQUIRE(Send(&users.one, users.pipe, "b").ok());
    CHECK(users.one.TakeRings() == users.BitOf(users.other));
    CHECK(Drain(&users.other, users.pipe) == Texts{"a", "b"});
  }

  TEST_CASE("what a killed user had comes back, in order, and everybody is told to look") {
    Users users(8);
    const uint32_t idle = PipeOf(&users.one, "idle");
    for (const char* text : {"a", "b", "c", "d", "e"}) REQUIRE(Send(&users.one, users.pipe, text).ok());
    Guest guest(users.file, [&](Region* region) {
      Delivery delivery;
      (void)region->Dequeue(users.pipe, Take::kCopy, false, &delivery);
      for (int i = 0; i < 3; i++) (void)region->Dequeue(users.pipe, Take::kAcknowledge, false, &delivery);
      uint64_t block = 0;
      uint8_t* data = nullptr;
      for (int i = 0; i < 10; i++) (void)region->Construct(500, &block, &data);
      (void)region->Dequeue(idle, Take::kCopy, true, &delivery);
    });
    CHECK(users.Stats().pool.blocks == 14);
    CHECK(users.one.Recover(guest.user).code() == Code::kBusy);
    ::kill(guest.child->pid(), SIGSTOP);
    CHECK(users.one.Recover(guest.user).code() == Code::kBusy);
    CHECK(Drain(&users.one, users.pipe) == Texts{"e"});
    guest.Kill();
    (void)users.one.TakeRings();
    REQUIRE(users.one.Recover(guest.user).ok());
    CHECK((users.one.TakeRings() & users.BitOf(users.other)) != 0);
    CHECK(users.file.Problem() == "");
    Delivery delivery;
    REQUIRE(users.one.Dequeue(users.pipe, Take::kCopy, false, &delivery).ok());
    CHECK(TextOf(delivery) == "b");
    CHECK(delivery.deliveries == 2);
    CHECK(Drain(&users.one, users.pipe) == Texts{"c", "d"});
    CHECK(users.Stats().pool.blocks == 0);
    CHECK(users.Stats().users == 2);
    // A second recovery of the same user finds nothing, nor one of a slot that is another's by now.
    REQUIRE(users.one.Recover(guest.user).ok());
    Region next = users.file.Elsewhere();
    REQUIRE(next.Join().ok());
    CHECK(next.slot() == static_cast<int>(guest.user.slot));
    REQUIRE(users.one.Recover(guest.user).ok());
    CHECK(Send(&next, users.pipe, "f").ok());
  }

  TEST_CASE("a process that is dead but not reaped counts as dead") {
    Users users;
    Guest guest(users.file, [](Region*) {});
    ::kill(guest.child->pid(), SIGKILL);
    siginfo_t facts;
    REQUIRE(::waitid(P_PID, static_cast<id_t>(guest.child->pid()), &facts, WEXITED | WNOWAIT) == 0);
    REQUIRE(users.one.Recover(guest.user).ok());
    CHECK(users.Stats().users == 2);
  }

  TEST_CASE("who finds the lock of a dead holder recovers it too, without being asked to") {
    Users users;
    Word* const lock = &reinterpret_cast<LockLine*>(users.file.mapping->base() + kLockLineOffset)->lock;
    REQUIRE(Send(&users.one, users.pipe, "a").ok());
    Guest guest(users.file, [&](Region* region) {
      Delivery delivery;
      (void)region->Dequeue(users.pipe, Take::kAcknowledge, false, &delivery);
      bool owner_died = false;
      (void)RobustLock(lock).Acquire(&owner_died);
    });
    guest.Kill();
    // One call finds the lock, a later one that its holder's process has ended.
    while (users.Stats().users == 3) ::usleep(1000);
    CHECK(users.Stats().repairs == 1);
    CHECK(Next(&users.one, users.pipe) == "a");
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("a full region takes a user in the place of a dead one that nobody has recovered") {
    const RegionFile file;
    std::vector<std::unique_ptr<Region>> regions;
    Guest guest(file, [](Region*) {});
    for (uint32_t i = 1; i < kUsersMax; i++) {
      regions.push_back(std::make_unique<Region>(file.mapping));
      REQUIRE(regions.back()->Join().ok());
    }
    Region late = file.Here();
    CHECK(late.Join().code() == Code::kFull);
    guest.Kill();
    REQUIRE(late.Join().ok());
    CHECK(late.slot() == static_cast<int>(guest.user.slot));
  }

  TEST_CASE("a stopped holder of the lock costs the others kLocked and nothing else") {
    Users users;
    uint64_t block = 0;
    uint8_t* data = nullptr;
    REQUIRE(users.one.Construct(5, &block, &data).ok());
    Delivery delivery;
    REQUIRE(Send(&users.one, users.pipe, "a").ok());
    REQUIRE(users.one.Dequeue(users.pipe, Take::kAcknowledge, false, &delivery).ok());
    Word* const lock = &reinterpret_cast<LockLine*>(users.file.mapping->base() + kLockLineOffset)->lock;
    Cue held;
    Child holder([&] {
      bool owner_died = false;
      if (!RobustLock(lock).Acquire(&owner_died).ok()) return 1;
      held.Give();
      return WaitForever();
    });
    REQUIRE(held.Await());
    ::kill(holder.pid(), SIGSTOP);
    Region late = users.file.Elsewhere();
    std::vector<RegionUser> list;
    PipeStats stats;
    RegionStats all;
    uint32_t pipe = 0;
    Delivery other;
    CHECK(late.Join().code() == Code::kLocked);
    CHECK(users.one.Leave().code() == Code::kLocked);
    CHECK(users.one.Users(&list).code() == Code::kLocked);
    CHECK(users.one.OpenPipe("words", 0, &pipe).code() == Code::kLocked);
    CHECK(Send(&users.one, users.pipe, "b").code() == Code::kLocked);
    CHECK(Send(&users.one, users.pipe, std::string(10000, 'b')).code() == Code::kLocked);
    CHECK(users.one.Dequeue(users.pipe, Take::kCopy, false, &other).code() == Code::kLocked);
    CHECK(users.one.Ack(delivery.block).code() == Code::kLocked);
    CHECK(users.one.Reject(delivery.block).code() == Code::kLocked);
    CHECK(users.one.Unwait(users.pipe).code() == Code::kLocked);
    CHECK(users.one.Release(block).code() == Code::kLocked);
    CHECK(users.one.EnqueueBlock(users.pipe, block, false).code() == Code::kLocked);
    CHECK(users.one.Stats(&all).code() == Code::kLocked);
    CHECK(users.one.StatsOf(users.pipe, &stats).code() == Code::kLocked);
    users.one.ReleaseSoon(block);
    ::kill(holder.pid(), SIGKILL);
    holder.Reap();
    CHECK(users.one.Ack(delivery.block).ok());
    CHECK(users.Stats().pool.blocks == 0);
    CHECK(users.Stats().repairs == 1);
    CHECK(users.file.Problem() == "");
  }

  TEST_CASE("threads with regions of their own hand packets on, each once and in order for its sender") {
    constexpr uint32_t kPackets = 3000;
    const RegionFile file(1 << 20);
    {
      Region maker = file.Here();
      REQUIRE(maker.Join().ok());
      PipeOf(&maker, "work", 16);
    }
    std::atomic<uint32_t> left{3 * kPackets};
    std::vector<std::vector<uint32_t>> got(3);
    std::vector<std::thread> threads;
    std::atomic<bool> bad{false};
    const auto patient = [](auto call) {
      for (;;)
        if (const Status status = call(); status.code() != Code::kLocked) return status;
    };
    for (uint32_t id = 0; id < 6; id++)
      threads.emplace_back([&, id] {
        // One mapping for all, so that ThreadSanitizer sees each access.
        Region region = file.Here();
        uint32_t pipe = 0;
        if (!patient([&] { return region.Join(); }).ok()) bad = true;
        if (!patient([&] { return region.OpenPipe("work", 0, &pipe); }).ok()) bad = true;
        for (uint32_t i = 0; id < 3 && i < kPackets && !bad;) {
          const uint32_t number = id * kPackets + i;
          std::vector<uint8_t> bytes(4 + number % 7000 / (number % 50 == 0 ? 1 : 50));
          memcpy(bytes.data(), &number, sizeof number);
          const Status status = patient([&] { return region.Enqueue(pipe, bytes.data(), bytes.size(), false); });
          if (status.ok()) i++;
          else if (status.code() != Code::kAgain) bad = true;
          else std::this_thread::yield();
        }
        while (id >= 3 && left.load() > 0 && !bad) {
          Delivery delivery;
          const Take take = left % 3 == 0 ? Take::kCopy : left % 3 == 1 ? Take::kAcknowledge : Take::kBlock;
          const Status status = patient([&] { return region.Dequeue(pipe, take, false, &delivery); });
          if (status.code() == Code::kAgain) std::this_thread::yield();
          if (status.code() == Code::kAgain) continue;
          if (!status.ok()) bad = true;
          uint32_t number = 0;
          if (delivery.bytes >= sizeof number) memcpy(&number, delivery.data, sizeof number);
          got[id - 3].push_back(number);
          if (take == Take::kAcknowledge && !patient([&] { return region.Ack(delivery.block); }).ok()) bad = true;
          if (take != Take::kAcknowledge && delivery.block != 0) region.ReleaseSoon(delivery.block);
          left--;
        }
        if (!patient([&] { return region.Leave(); }).ok()) bad = true;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(bad);
    std::set<uint32_t> all;
    for (const std::vector<uint32_t>& numbers : got) {
      uint32_t next[3] = {0, 0, 0};
      for (uint32_t number : numbers) {
        CHECK(all.insert(number).second);
        CHECK(number % kPackets >= next[number / kPackets]);
        next[number / kPackets] = number % kPackets + 1;
      }
    }
    CHECK(all.size() == 3 * kPackets);
    CHECK(file.Problem() == "");
  }

  TEST_CASE("a user that scribbles over the region breaks it, but no process") {
    uint32_t refused = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
      CAPTURE(seed);
      Random random(seed);
      Users users(8, kRegionBytesMin);
      uint64_t blocks[8] = {};
      uint8_t* data = nullptr;
      for (int i = 0; i < 4; i++) {
        (void)users.one.Construct(random.Below(800), &blocks[i], &data);
        (void)Send(&users.one, users.pipe, std::string(random.Below(800), 'x'));
      }
      Delivery delivery;
      for (int i = 4; i < 6; i++) {
        (void)users.one.Dequeue(users.pipe, i == 4 ? Take::kAcknowledge : Take::kBlock, false, &delivery);
        blocks[i] = delivery.block;
      }
      const uint64_t words = users.file.mapping->bytes() / 4;
      for (uint32_t i = 0; i < 1 + random.Below(60); i++) {
        // Not the lock itself: that is at worst held for ever.
        const uint64_t places[] = {kJournalOffset / 4 + random.Below(64), kPipesOffset / 4 + random.Below(64),
                                   kPoolOffset / 4 + random.Below(2000), kUsersOffset / 4 + random.Below(48),
                                   kPoolLineOffset / 4 + random.Below(sizeof(PoolLine) / 4)};
        const uint32_t values[] = {0, 1, 2, UINT32_MAX, random.Next(), random.Below(2000), kPoolOffset / kGrainBytes};
        const uint64_t place = places[random.Below(5)];
        REQUIRE(place < words);
        reinterpret_cast<Word*>(users.file.mapping->base())[place].store(values[random.Below(7)]);
      }
      for (int i = 0; i < 60; i++) {
        const uint64_t block = blocks[random.Below(8)];
        Status status = Status::Ok();
        switch (random.Below(10)) {
          case 0: status = Send(&users.one, users.pipe, std::string(random.Below(6000), 'y'), true); break;
          case 1: status = users.one.Dequeue(users.pipe, static_cast<Take>(random.Below(3)), true, &delivery); break;
          case 2: status = users.one.Ack(block); break;
          case 3: status = users.one.Reject(block); break;
          case 4: status = users.one.Release(block); break;
          case 5: status = users.one.Unwait(users.pipe); break;
          case 6: status = users.one.EnqueueBlock(users.pipe, block, true); break;
          case 7: status = users.one.Construct(random.Below(900), &blocks[6], &data); break;
          case 8: status = users.other.Leave(); break;
          default: status = users.other.Join(); break;
        }
        refused += status.code() == Code::kBadLayout;
      }
    }
    CHECK(refused > 100);
  }
}

}  // namespace actor_ipc
