// Folder: a directory of its own for one test, removed with everything in it; and what a test asks about descriptors.
#pragma once

#include <dirent.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace actor_ipc {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "actor-ipc-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// How many descriptors this process has open.
inline int OpenDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  int count = 0;
  while (::readdir(folder) != nullptr) count++;
  ::closedir(folder);
  return count;
}

}  // namespace actor_ipc
