#include "os/unix_address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

namespace actor_ipc {

Status FillUnixAddress(const char* path, sockaddr_un* address, Fd* folder) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) < sizeof address->sun_path) {
    memcpy(address->sun_path, path, strlen(path) + 1);
    return Status::Ok();
  }
  const char* name = strrchr(path, '/');
  if (name == nullptr) return Status::Of(Code::kTooLarge, "socket path");
  char parent[4096];
  const size_t length = static_cast<size_t>(name - path);
  if (length >= sizeof parent) return Status::Of(Code::kTooLarge, "socket path");
  memcpy(parent, path, length);
  parent[length] = '\0';
  const int number = ::open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (number < 0) return Status::System(errno, "open(run directory)");
  *folder = Fd(number);
  const int written =
      snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s", folder->get(), name);
  if (written < 0 || static_cast<size_t>(written) >= sizeof address->sun_path)
    return Status::Of(Code::kTooLarge, "socket path");
  return Status::Ok();
}

}  // namespace actor_ipc
