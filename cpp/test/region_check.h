// What must be true of a region while nobody is at work in it, seen without the code that keeps it so.
#pragma once

#include <string>

#include "os/memory.h"

namespace actor_ipc {

/// The first thing that is wrong with a region, or an empty string.
std::string RegionProblem(const Mapping& mapping);

}  // namespace actor_ipc
