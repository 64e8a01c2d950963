// Socket and Listener for JavaScript: packets with descriptors, under uv_poll.
//
// Both stop watching at the end of the stream, since it stays readable for ever. Descriptors that arrive are handed over
// as numbers; the receiver owns them.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/reactor.h"
#include "os/fd.h"

namespace actor_ipc {

class SocketObject : public Napi::ObjectWrap<SocketObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Socket(fd) takes a connected packet socket; new Socket(path) connects to one.
  explicit SocketObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value Peer(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  void Listen(const Napi::CallbackInfo& info);
  void Read(const Napi::CallbackInfo& info);
  void WantRoom(const Napi::CallbackInfo& info);
  void Hold(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnReady(int events);
  void Finish(const char* why);

  Reactor* reactor_;
  Fd socket_;
  std::unique_ptr<Poll> poll_;
  bool want_room_ = false;
  bool ended_ = false;
  Napi::FunctionReference on_packet_;
  Napi::FunctionReference on_end_;
  Napi::FunctionReference on_room_;
};

class ListenerObject : public Napi::ObjectWrap<ListenerObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Listener(path, mode, backlog) binds; new Listener(fd) takes a listening socket.
  explicit ListenerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  void Listen(const Napi::CallbackInfo& info);
  void Hold(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void OnReady();

  Reactor* reactor_;
  Fd listener_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference on_connection_;
};

}  // namespace actor_ipc
