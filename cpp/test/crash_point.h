// The crash points of the code under test: counted, and deadly where a test wants it.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace actor_ipc {

/// This process gets SIGKILL at its `number`-th crash point from now on; 0 for never.
void DieAtCrashPoint(uint64_t number);

/// How many have been passed since the last DieAtCrashPoint.
uint64_t CrashPointsPassed();

/// The names of all that have been passed since NameCrashPoints(true).
void NameCrashPoints(bool on);
const std::set<std::string>& CrashPointNames();

}  // namespace actor_ipc
