#include "shm/park.h"

#include "doctest/doctest.h"

namespace actor_ipc {

TEST_SUITE("park") {
  TEST_CASE("a receiver that is awake is never rung") {
    ParkLine line{};
    uint32_t rung = 0;
    CHECK_FALSE(ShouldRing(&line, &rung));
    Park(&line);
    Unpark(&line);
    CHECK_FALSE(ShouldRing(&line, &rung));
  }

  TEST_CASE("each sleep is rung for once") {
    ParkLine line{};
    uint32_t rung = 0;
    for (int sleep = 0; sleep < 100; sleep++) {
      Park(&line);
      CHECK(ShouldRing(&line, &rung));
      for (int i = 0; i < 3; i++) CHECK_FALSE(ShouldRing(&line, &rung));
      Unpark(&line);
      CHECK_FALSE(ShouldRing(&line, &rung));
    }
  }

  TEST_CASE("two senders each ring once, with their own memory of it") {
    ParkLine line{};
    uint32_t one = 0;
    uint32_t other = 0;
    Park(&line);
    CHECK(ShouldRing(&line, &one));
    CHECK(ShouldRing(&line, &other));
    CHECK_FALSE(ShouldRing(&line, &one));
    CHECK_FALSE(ShouldRing(&line, &other));
  }

  TEST_CASE("a sender that missed whole sleeps rings for the present one") {
    ParkLine line{};
    uint32_t rung = 0;
    for (int sleep = 0; sleep < 5; sleep++) {
      Park(&line);
      Unpark(&line);
    }
    Park(&line);
    CHECK(ShouldRing(&line, &rung));
  }

  TEST_CASE("the epoch rises with each sleep and stays when it ends") {
    ParkLine line{};
    for (uint32_t epoch = 1; epoch < 100; epoch++) {
      Park(&line);
      CHECK(line.park.load() == (epoch << 1 | 1));
      Unpark(&line);
      CHECK(line.park.load() == epoch << 1);
    }
  }

  TEST_CASE("the epoch goes round, and the sleep after it is rung for too") {
    ParkLine line{};
    line.park.store(UINT32_MAX - 1);
    uint32_t rung = UINT32_MAX - 2;
    Park(&line);
    CHECK(line.park.load() == 1);
    CHECK(ShouldRing(&line, &rung));
    CHECK_FALSE(ShouldRing(&line, &rung));
  }

  TEST_CASE("waking twice is waking once") {
    ParkLine line{};
    Park(&line);
    Unpark(&line);
    Unpark(&line);
    CHECK(line.park.load() == 2);
  }
}

}  // namespace actor_ipc
