// The last word of a process that faults, and what becomes of the signal.
#include "os/fault.h"

#include <signal.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "os/memory.h"
#include "test/child.h"

// A sanitizer has handlers of its own, which end the process in another way.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kDiesBySignal = false;
#else
constexpr bool kDiesBySignal = true;
#endif

namespace actor_ipc {

namespace {

struct End {
  int how;
  std::string words;
};

/// Runs `body` in a process whose signals are as they are at its start, and answers what it wrote to stderr.
template <typename Body>
End EndOf(Body body) {
  Cue stderr_cue;
  Child child([&] {
    ::dup2(stderr_cue.writer.get(), STDERR_FILENO);
    ::signal(SIGSEGV, SIG_DFL);
    ::signal(SIGBUS, SIG_DFL);
    body();
    return 0;
  });
  stderr_cue.writer.Reset();
  std::string words;
  char buffer[4096];
  for (ssize_t count; (count = ::read(stderr_cue.reader.get(), buffer, sizeof buffer)) > 0;)
    words.append(buffer, static_cast<size_t>(count));
  return {child.Reap(), words};
}

bool Has(const std::string& words, const char* part) { return words.find(part) != std::string::npos; }

/// Memory that may only be read, as a peer's is.
volatile uint8_t* ReadOnly() {
  return static_cast<uint8_t*>(::mmap(nullptr, 4 * PageBytes(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

}  // namespace

TEST_SUITE("fault") {
  TEST_CASE("a write into named memory is told with the smallest range that holds it, and kills as before") {
    const End end = EndOf([] {
      InstallLastWord();
      volatile uint8_t* memory = ReadOnly();
      const FaultName whole(const_cast<uint8_t*>(memory), 4 * PageBytes(), "the session with app wall");
      const FaultName part(const_cast<uint8_t*>(memory) + 128, 256, "channel balls of the session with app wall");
      memory[135] = 1;
    });
    CHECK(Has(end.words, " wrote to byte 7 of channel balls of the session with app wall, memory that belongs to the peer"));
    CHECK(Has(end.words, "it dies by SIGSEGV\n"));
    CHECK(end.how != 0);
    if (kDiesBySignal) CHECK(end.how == -SIGSEGV);
  }

  TEST_CASE("a read that fails is told as such") {
    const End end = EndOf([] {
      InstallLastWord();
      volatile uint8_t* memory = ReadOnly();
      const FaultName name(const_cast<uint8_t*>(memory), 4 * PageBytes(), "the session with app wall");
      ::mprotect(const_cast<uint8_t*>(memory), PageBytes(), PROT_NONE);
      [[maybe_unused]] const uint8_t byte = memory[3];
    });
    CHECK(Has(end.words, " failed to read byte 3 of the session with app wall; it dies by SIGSEGV\n"));
  }

  TEST_CASE("a fault elsewhere, or in a range that was forgotten, is not spoken of") {
    const End end = EndOf([] {
      InstallLastWord();
      volatile uint8_t* memory = ReadOnly();
      { const FaultName name(const_cast<uint8_t*>(memory), 4 * PageBytes(), "the session with app wall"); }
      memory[0] = 1;
    });
    CHECK(!Has(end.words, "actor-ipc"));
    CHECK(end.how != 0);
    if (kDiesBySignal) CHECK(end.how == -SIGSEGV);
  }

  TEST_CASE("a signal that somebody sends kills as before, without a word") {
    if (!kDiesBySignal) return;
    for (const int signal : {SIGSEGV, SIGBUS}) {
      const End end = EndOf([=] {
        InstallLastWord();
        ::raise(signal);
      });
      CHECK(end.words.empty());
      CHECK(end.how == -signal);
    }
  }

  TEST_CASE("a handler that was there before gets the fault, after the last word") {
    const End end = EndOf([] {
      struct sigaction before {};
      before.sa_sigaction = [](int, siginfo_t*, void*) {
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, "before", 6);
        ::_exit(7);
      };
      before.sa_flags = SA_SIGINFO;
      ::sigaction(SIGSEGV, &before, nullptr);
      InstallLastWord();
      InstallLastWord();  // Must not make itself the one before.
      volatile uint8_t* memory = ReadOnly();
      const FaultName name(const_cast<uint8_t*>(memory), 4 * PageBytes(), "the session with app wall");
      memory[0] = 1;
    });
    CHECK(end.how == 7);
    const size_t told = end.words.find("wrote to byte 0");
    CHECK(told != std::string::npos);
    CHECK(end.words.find("before") > told);
  }

  TEST_CASE("names beyond the table's room are left out, and room that was given back is used again") {
    static uint8_t memory[16];
    for (int round = 0; round < 2; round++) {
      std::vector<FaultName> names;
      for (size_t i = 0; i < kFaultRangesMax + 10; i++) names.emplace_back(memory, sizeof memory, "a name");
      CHECK(names.size() == kFaultRangesMax + 10);
    }
    const std::string longer(2 * kFaultNameMax, 'x');
    const FaultName cut(memory, sizeof memory, longer.c_str());
  }
}

}  // namespace actor_ipc
