// Unix address: what bind, connect and sendto want for a path, however long the path is.
//
// Thread safety: free functions.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// Fills `address` for `path`. sun_path holds 107 bytes and a zero; a longer path is reached through its folder's
/// descriptor, which must stay open for as long as the address is used. Errors: kTooLarge, kSystem.
Status FillUnixAddress(const char* path, sockaddr_un* address, Fd* folder);

}  // namespace actor_ipc
