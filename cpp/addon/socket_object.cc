#include "addon/socket_object.h"

#include <utility>
#include <vector>

#include "addon/convert.h"
#include "os/seqpacket.h"

namespace actor_ipc {

namespace {

constexpr napi_type_tag kListenerTag = {0xe8e25d940ed90475, 0x36f675cc81e74ef5};
constexpr napi_type_tag kSocketTag = {0x1818e811892f902b, 0x9531985d5d9dc9f8};
/// Packets or connections taken in one turn of the loop, so that a flood on one socket starves nobody.
constexpr int kTurnMax = 32;

Napi::Value FdList(Napi::Env env, Packet* packet) {
  Napi::Array list = Napi::Array::New(env, packet->fd_count);
  for (size_t i = 0; i < packet->fd_count; i++)
    list.Set(static_cast<uint32_t>(i), Napi::Number::New(env, packet->fds[i].Release()));
  return list;
}

Napi::Object SenderOf(Napi::Env env, const Credentials& sender) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("pid", Napi::Number::New(env, sender.pid));
  object.Set("uid", Napi::Number::New(env, sender.uid));
  object.Set("gid", Napi::Number::New(env, sender.gid));
  return object;
}

}  // namespace

void SocketObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Socket",
              DefineClass(env, "Socket",
                          {InstanceAccessor<&SocketObject::GetFd>("fd"), InstanceMethod<&SocketObject::Peer>("peer"),
                           InstanceMethod<&SocketObject::Send>("send"), InstanceMethod<&SocketObject::Listen>("listen"),
                           InstanceMethod<&SocketObject::Read>("read"),
                           InstanceMethod<&SocketObject::WantRoom>("wantRoom"),
                           InstanceMethod<&SocketObject::Hold>("hold"), InstanceMethod<&SocketObject::Close>("close")}));
}

SocketObject::SocketObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<SocketObject>(info), reactor_(Reactor::Of(info.Env())) {
  if (info[0].IsString()) {
    Check(info.Env(), ConnectPacket(Text(info, 0).c_str(), &socket_));
  } else {
    socket_ = TakeFd(info, 0);
    Check(info.Env(), AdoptPacket(socket_.get()));
  }
  info.This().As<Napi::Object>().TypeTag(&kSocketTag);
}

Napi::Value SocketObject::GetFd(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kSocketTag, "Socket");
  return Napi::Number::New(info.Env(), socket_.get());
}

/// peer(): the process that connected (or, at the connecting end, that listens) as the kernel vouches for it.
Napi::Value SocketObject::Peer(const Napi::CallbackInfo& info) {
  Credentials peer;
  Check(info.Env(), PeerCredentials(socket_.get(), &peer));
  return SenderOf(info.Env(), peer);
}

/// send(bytes, fds): true if the packet left, false if there is no room now. Throws CLOSED, RESET, TOO_LARGE, SYSTEM.
Napi::Value SocketObject::Send(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "argument 0 must be bytes");
  const auto bytes = info[0].As<Napi::Uint8Array>();
  std::vector<int> fds;
  if (info[1].IsArray())
    for (uint32_t number : Uint32List(info, 1)) fds.push_back(static_cast<int>(number));
  if (!socket_.valid()) throw ErrorOf(info.Env(), Status::Of(Code::kClosed, "send"));
  const Status status = SendPacket(socket_.get(), bytes.Data(), bytes.ByteLength(), fds.data(), fds.size());
  if (status.code() == Code::kAgain) return Napi::Boolean::New(info.Env(), false);
  Check(info.Env(), status);
  return Napi::Boolean::New(info.Env(), true);
}

/// listen(onPacket(bytes, fds, sender), onEnd(code), onRoom()).
void SocketObject::Listen(const Napi::CallbackInfo& info) {
  const Napi::Function on_packet = Callback(info, 0);
  const Napi::Function on_end = Callback(info, 1);
  const Napi::Function on_room = Callback(info, 2);
  if (poll_ != nullptr) throw Napi::Error::New(info.Env(), "the socket is listened to already");
  auto poll = std::make_unique<Poll>(reactor_, socket_.get(), [this](int events) { OnReady(events); });
  if (!poll->Start(want_room_ ? kUvReadable | kUvWritable : kUvReadable))
    throw Napi::Error::New(info.Env(), "the event loop can't watch the socket");
  on_packet_ = Napi::Persistent(on_packet);
  on_end_ = Napi::Persistent(on_end);
  on_room_ = Napi::Persistent(on_room);
  poll_ = std::move(poll);
  Ref();
}

/// read(): takes what is there now, without waiting for the loop's turn.
void SocketObject::Read(const Napi::CallbackInfo&) {
  if (poll_ != nullptr && !ended_) OnReady(kUvReadable);
}

/// wantRoom(): onRoom is called once when a packet can leave again.
void SocketObject::WantRoom(const Napi::CallbackInfo&) {
  want_room_ = true;
  if (poll_ != nullptr && !ended_) poll_->Start(kUvReadable | kUvWritable);
}

void SocketObject::Hold(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->Hold(info[0].ToBoolean().Value());
}

void SocketObject::Close(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) {
    poll_->Close();
    poll_.reset();
    on_packet_.Reset();
    on_end_.Reset();
    on_room_.Reset();
    Unref();
  }
  socket_.Reset();
}

void SocketObject::OnReady(int events) {
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object alive = Value();  // A callback may close this socket.
  if ((events & kUvWritable) != 0 && want_room_) {
    want_room_ = false;
    poll_->Start(kUvReadable);
    reactor_->Call(on_room_, {});
  }
  if ((events & kUvReadable) == 0) return;
  std::vector<uint8_t> buffer(kPacketBytesMax);
  bool was_reset = false;
  for (int turn = 0; turn < kTurnMax && poll_ != nullptr && !ended_; turn++) {
    Packet packet;
    const Status status = ReceivePacket(socket_.get(), buffer.data(), buffer.size(), &packet);
    if (status.code() == Code::kAgain) return;
    if (status.code() == Code::kReset && !was_reset) {
      was_reset = true;  // A goodbye may still be queued behind it.
      continue;
    }
    if (status.code() == Code::kClosed) return Finish(CodeName(was_reset ? Code::kReset : Code::kClosed));
    if (!status.ok()) return Finish(CodeName(status.code()));
    const Napi::HandleScope each(Env());
    reactor_->Call(on_packet_, {Napi::Buffer<uint8_t>::Copy(Env(), buffer.data(), packet.bytes), FdList(Env(), &packet),
                                SenderOf(Env(), packet.sender)});
  }
}

void SocketObject::Finish(const char* why) {
  ended_ = true;
  poll_->Stop();
  reactor_->Call(on_end_, {Napi::String::New(Env(), why)});
}

void ListenerObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Listener", DefineClass(env, "Listener",
                                      {InstanceAccessor<&ListenerObject::GetFd>("fd"),
                                       InstanceMethod<&ListenerObject::Listen>("listen"),
                                       InstanceMethod<&ListenerObject::Hold>("hold"),
                                       InstanceMethod<&ListenerObject::Close>("close")}));
}

ListenerObject::ListenerObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ListenerObject>(info), reactor_(Reactor::Of(info.Env())) {
  if (info[0].IsString()) {
    Check(info.Env(), ListenPacket(Text(info, 0).c_str(), Uint32(info, 1), Int32(info, 2), &listener_));
  } else {
    listener_ = TakeFd(info, 0);
    Check(info.Env(), AdoptPacket(listener_.get()));
  }
  info.This().As<Napi::Object>().TypeTag(&kListenerTag);
}

Napi::Value ListenerObject::GetFd(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kListenerTag, "Listener");
  return Napi::Number::New(info.Env(), listener_.get());
}

/// listen(onConnection(fd)): a negative fd is an errno, negated, after which the listener no longer watches.
void ListenerObject::Listen(const Napi::CallbackInfo& info) {
  const Napi::Function on_connection = Callback(info, 0);
  if (poll_ != nullptr) throw Napi::Error::New(info.Env(), "the listener is listened to already");
  auto poll = std::make_unique<Poll>(reactor_, listener_.get(), [this](int) { OnReady(); });
  if (!poll->Start(kUvReadable)) throw Napi::Error::New(info.Env(), "the event loop can't watch the listener");
  on_connection_ = Napi::Persistent(on_connection);
  poll_ = std::move(poll);
  Ref();
}

void ListenerObject::Hold(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->Hold(info[0].ToBoolean().Value());
}

void ListenerObject::Close(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) {
    poll_->Close();
    poll_.reset();
    on_connection_.Reset();
    Unref();
  }
  listener_.Reset();
}

void ListenerObject::OnReady() {
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object alive = Value();  // A callback may close this listener.
  for (int turn = 0; turn < kTurnMax && poll_ != nullptr; turn++) {
    Fd socket;
    const Status status = AcceptPacket(listener_.get(), &socket);
    if (status.code() == Code::kAgain) return;
    if (!status.ok()) {
      poll_->Stop();
      reactor_->Call(on_connection_, {Napi::Number::New(Env(), -status.error())});
      return;
    }
    reactor_->Call(on_connection_, {Napi::Number::New(Env(), socket.Release())});
  }
}

}  // namespace actor_ipc
