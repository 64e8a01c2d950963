// Kills a process at every step between two stores to a region, and whoever repairs it at every step of the repair.
#include <signal.h>
#include <sys/mman.h>

#include <functional>
#include <map>
#include <set>

#include "doctest/doctest.h"
#include "test/child.h"
#include "test/crash_point.h"
#include "test/random.h"
#include "test/region_ends.h"

namespace actor_ipc {

namespace {

/// What a victim has done, in memory that outlives it.
struct Log {
  enum class Step : uint32_t { kNone, kBegun, kDone };
  struct Line {
    std::atomic<Step> step;
    /// 's'ent, or 'g'ot for good.
    std::atomic<uint32_t> kind;
    std::atomic<uint32_t> number;
  };
  Line lines[64];
  std::atomic<uint32_t> used;
  std::atomic<uint64_t> steps;
};

struct LogMemory {
  Log* log;
  LogMemory()
      : log(new (::mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Log{}) {}
  LogMemory(const LogMemory&) = delete;
  LogMemory& operator=(const LogMemory&) = delete;
  ~LogMemory() { ::munmap(log, sizeof(Log)); }
};

/// ThreadSanitizer sees one process only, so it has nothing to say of these, and forks slowly: it takes every fifth step.
#ifdef __SANITIZE_THREAD__
constexpr uint64_t kStride = 5;
#else
constexpr uint64_t kStride = 1;
#endif

std::string TextFor(uint32_t number, uint32_t bytes) {
  std::string text = std::to_string(number) + " ";
  while (text.size() < bytes) text += static_cast<char>('a' + (number + text.size()) % 26);
  return text;
}

/// The victim's calls, each noted before and after.
class Victim {
 public:
  Victim(Region* region, Log* log) : region_(region), log_(log) {}

  Region* region() const { return region_; }
  uint32_t Pipe(const char* name, uint32_t capacity = 8) const {
    uint32_t pipe = 0;
    Need(region_->OpenPipe(name, capacity, &pipe));
    return pipe;
  }
  void Send(uint32_t pipe, uint32_t number, uint32_t bytes) {
    Log::Line& line = Begin('s', number);
    const std::string text = TextFor(number, bytes);
    Need(actor_ipc::Send(region_, pipe, text, false));
    line.step = Log::Step::kDone;
  }
  /// Takes a packet, for good unless it is to be acknowledged.
  Delivery Get(uint32_t pipe, Take take) {
    Log::Line& line = Begin('g', 0);
    if (take == Take::kAcknowledge) line.step = Log::Step::kNone;
    Delivery delivery;
    Need(region_->Dequeue(pipe, take, false, &delivery));
    line.number = static_cast<uint32_t>(std::stoul(TextOf(delivery)));
    line.step = take == Take::kAcknowledge ? Log::Step::kNone : Log::Step::kDone;
    got_[delivery.block] = &line;
    return delivery;
  }
  void Ack(const Delivery& delivery) {
    got_[delivery.block]->step = Log::Step::kBegun;
    Need(region_->Ack(delivery.block));
    got_[delivery.block]->step = Log::Step::kDone;
  }
  void Reject(const Delivery& delivery) { Need(region_->Reject(delivery.block)); }
  void Need(const Status& status) const {
    if (!status.ok() && status.code() != Code::kAgain) ::_exit(3);
  }

 private:
  Log::Line& Begin(uint32_t kind, uint32_t number) {
    Log::Line& line = log_->lines[log_->used++];
    line.kind = kind;
    line.number = number;
    line.step = Log::Step::kBegun;
    return line;
  }

  Region* region_;
  Log* log_;
  std::map<uint64_t, Log::Line*> got_;
};

using Script = std::function<void(Victim*)>;

const std::vector<std::pair<const char*, Script>> kScripts = {
    {"sends", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("words");
       victim->Send(pipe, 100, 10);
       victim->Send(pipe, 101, 200);
     }},
    {"sends a large packet", [](Victim* victim) { victim->Send(victim->Pipe("words"), 100, 9000); }},
    {"takes copies", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("words");
       for (int i = 0; i < 3; i++) {
         const Delivery delivery = victim->Get(pipe, Take::kCopy);
         if (delivery.block != 0) victim->region()->ReleaseSoon(delivery.block);
       }
     }},
    {"acknowledges and rejects", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("words");
       const Delivery first = victim->Get(pipe, Take::kAcknowledge);
       const Delivery second = victim->Get(pipe, Take::kAcknowledge);
       victim->Reject(second);
       victim->Ack(first);
       victim->Reject(victim->Get(pipe, Take::kAcknowledge));
     }},
    {"holds blocks", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("words");
       const Delivery delivery = victim->Get(pipe, Take::kBlock);
       uint64_t block = 0;
       uint8_t* data = nullptr;
       victim->Need(victim->region()->Construct(1000, &block, &data));
       victim->Need(victim->region()->Release(delivery.block));
       victim->Need(victim->region()->Release(block));
     }},
    {"makes a pipe and waits at it", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("new", 5);
       Delivery delivery;
       victim->Need(victim->region()->Dequeue(pipe, Take::kCopy, true, &delivery));
       victim->Need(victim->region()->Unwait(pipe));
       victim->Send(pipe, 100, 10);
     }},
    {"leaves with all it has, and joins again", [](Victim* victim) {
       const uint32_t pipe = victim->Pipe("words");
       victim->Get(pipe, Take::kAcknowledge);
       victim->Get(pipe, Take::kAcknowledge);
       uint64_t block = 0;
       uint8_t* data = nullptr;
       for (int i = 0; i < 3; i++) victim->Need(victim->region()->Construct(300, &block, &data));
       Delivery delivery;
       victim->Need(victim->region()->Dequeue(victim->Pipe("idle"), Take::kCopy, true, &delivery));
       victim->Need(victim->region()->Leave());
       victim->Need(victim->region()->Join());
     }},
};

/// A region with a survivor in it and packets 1 to 4 in the pipe "words".
struct Scene {
  RegionFile file;
  LogMemory memory;
  Region survivor;
  uint32_t words;
  std::set<uint32_t> sent;

  Scene() : survivor(file.Here()) {
    REQUIRE(survivor.Join().ok());
    words = PipeOf(&survivor, "words", 8);
    PipeOf(&survivor, "idle", 8);
    for (uint32_t number = 1; number <= 4; number++) {
      REQUIRE(Send(&survivor, words, TextFor(number, number == 2 ? 6000 : 40 * number)).ok());
      sent.insert(number);
    }
  }

  /// In a process of its own: joins, follows the script and dies at its `step`-th crash point. 0 kills nobody.
  int Run(const Script& script, uint64_t step, uint64_t* steps = nullptr) {
    Child child([&] {
      Region region = file.Elsewhere();
      Victim victim(&region, memory.log);
      victim.Need(region.Join());
      DieAtCrashPoint(step);
      script(&victim);
      memory.log->steps = CrashPointsPassed();
      return 0;
    });
    const int end = child.Reap();
    if (steps != nullptr) *steps = memory.log->steps;
    return end;
  }

  std::vector<RegionUser> Users() {
    std::vector<RegionUser> users;
    REQUIRE(survivor.Users(&users).ok());
    return users;
  }

  /// The survivor recovers all who are dead, and everything is as it must be.
  void CheckAfterwards() {
    for (const RegionUser& user : Users())
      if (static_cast<int>(user.slot) != survivor.slot()) REQUIRE(survivor.Recover(user).ok());
    REQUIRE(Users().size() == 1);
    REQUIRE(file.Problem() == "");
    // Each packet is there once, or was taken for good; only the call under way may have gone either way.
    std::set<uint32_t> there;
    for (uint32_t pipe = 0; pipe < kPipesMax; pipe++) {
      PipeStats stats;
      if (!survivor.StatsOf(pipe, &stats).ok()) continue;
      for (const std::string& text : Drain(&survivor, pipe)) {
        const uint32_t number = static_cast<uint32_t>(std::stoul(text));
        CHECK(text == TextFor(number, static_cast<uint32_t>(text.size())));
        REQUIRE(there.insert(number).second);
      }
    }
    uint32_t may_be_gone = 0;
    std::set<uint32_t> must = sent;
    std::set<uint32_t> may = sent;
    for (const Log::Line& line : memory.log->lines) {
      const bool done = line.step == Log::Step::kDone;
      if (line.step == Log::Step::kNone) continue;
      if (line.kind == 's') may.insert(line.number);
      if (line.kind == 's' && done) must.insert(line.number);
      if (line.kind == 'g' && done) {
        must.erase(line.number);
        may.erase(line.number);
      }
      if (line.kind == 'g' && !done) may_be_gone++;
    }
    for (uint32_t number : there) CHECK(may.contains(number));
    uint32_t gone = 0;
    for (uint32_t number : must) gone += !there.contains(number);
    CHECK(gone <= may_be_gone);
    // And it goes on: lock, pool and pipes are usable.
    REQUIRE(Send(&survivor, words, "after").ok());
    CHECK(Next(&survivor, words) == "after");
    RegionStats stats;
    REQUIRE(survivor.Stats(&stats).ok());
    CHECK(stats.pool.blocks == 0);
    REQUIRE(file.Problem() == "");
  }
};

/// A repair by a process of its own, which is killed at its `step`-th crash point. 0 kills nobody.
int Repair(Scene* scene, uint64_t step, uint64_t* steps = nullptr) {
  return scene->Run(
      [](Victim* repairer) {
        std::vector<RegionUser> users;
        repairer->Need(repairer->region()->Users(&users));
        for (const RegionUser& user : users)
          if (const Status status = repairer->region()->Recover(user); status.code() != Code::kBusy) repairer->Need(status);
      },
      step, steps);
}

uint64_t StepsOf(const Script& script) {
  Scene scene;
  uint64_t steps = 0;
  REQUIRE(scene.Run(script, 0, &steps) == 0);
  return steps;
}

}  // namespace

TEST_SUITE("region_crash") {
  TEST_CASE("a process that is killed at any step leaves nothing half done") {
    for (const auto& [name, script] : kScripts) {
      CAPTURE(name);
      const uint64_t steps = StepsOf(script);
      REQUIRE(steps > 20);
      for (uint64_t step = 1; step <= steps; step += kStride) {
        CAPTURE(step);
        Scene scene;
        REQUIRE(scene.Run(script, step) == -SIGKILL);
        scene.CheckAfterwards();
      }
    }
  }

  TEST_CASE("whoever is killed while he repairs is followed by another who finishes it") {
    Random random(7);
    for (const auto& [name, script] : kScripts) {
      CAPTURE(name);
      const uint64_t steps = StepsOf(script);
      for (uint64_t round = 0; round < 40; round += kStride) {
        const uint64_t step = 1 + random.Below(static_cast<uint32_t>(steps));
        CAPTURE(step);
        uint64_t repair_steps = 0;
        {
          Scene scene;
          REQUIRE(scene.Run(script, step) == -SIGKILL);
          REQUIRE(Repair(&scene, 0, &repair_steps) == 0);
        }
        const uint64_t repair_step = 1 + random.Below(static_cast<uint32_t>(repair_steps));
        CAPTURE(repair_step);
        Scene scene;
        REQUIRE(scene.Run(script, step) == -SIGKILL);
        REQUIRE(Repair(&scene, repair_step) == -SIGKILL);
        scene.CheckAfterwards();
      }
    }
  }

  TEST_CASE("every step of a repair can be its last") {
    const Script& leaves = kScripts.back().second;
    // In the middle of leaving, so that there is both a call to put back and a user to recover.
    const uint64_t step = StepsOf(leaves) - 60;
    uint64_t repair_steps = 0;
    {
      Scene scene;
      REQUIRE(scene.Run(leaves, step) == -SIGKILL);
      REQUIRE(Repair(&scene, 0, &repair_steps) == 0);
    }
    REQUIRE(repair_steps > 20);
    for (uint64_t repair_step = 1; repair_step <= repair_steps; repair_step += kStride) {
      CAPTURE(repair_step);
      Scene scene;
      REQUIRE(scene.Run(leaves, step) == -SIGKILL);
      REQUIRE(Repair(&scene, repair_step) == -SIGKILL);
      scene.CheckAfterwards();
    }
  }

  TEST_CASE("the scripts pass every crash point that there is") {
    NameCrashPoints(true);
    {
      Scene scene;
      Region region = scene.file.Elsewhere();
      Victim victim(&region, scene.memory.log);
      for (const auto& [name, script] : kScripts) {
        victim.Need(region.Join());
        script(&victim);
        CHECK(Drain(&scene.survivor, scene.words).size() < 20);
        for (uint32_t number = 1; number <= 4; number++) (void)Send(&scene.survivor, scene.words, TextFor(number, 6000));
      }
      (void)region.Leave();
      // A call that fails half way is put back.
      reinterpret_cast<PipeRecord*>(scene.file.mapping->base() + kPipesOffset)[scene.words].tail.store(99);
      CHECK(Send(&scene.survivor, scene.words, "x").code() == Code::kBadLayout);
    }
    NameCrashPoints(false);
    for (const char* name :
         {"lock.announced", "lock.taken", "lock.releasing", "lock.released", "journal.written", "journal.counted",
          "journal.changed", "journal.committing", "journal.committed", "journal.put-back", "journal.forgotten", "region.copied", "region.named"}) {
      CAPTURE(name);
      CHECK(CrashPointNames().contains(name));
    }
  }
}

}  // namespace actor_ipc
