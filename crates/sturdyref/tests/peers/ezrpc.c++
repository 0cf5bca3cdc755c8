// A peer in C++ on Cap'n Proto's own EzRpc, which knows object ids under the name of imports and exports.
//   ezrpc serve             exports a Greeter as "alice", prints its port, ends when its input does
//   ezrpc greet ADDRESS ID  imports ID, and prints what it answers, or why not
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <capnp/ez-rpc.h>
#include <kj/async-io.h>
#include <iostream>
#include <string>
#include "greeter.capnp.h"

class Alice final: public Greeter::Server {
  kj::Promise<void> greet(GreetContext context) override {
    auto greeting = kj::str("Hello ", context.getParams().getName(), ", this is alice in C++");
    context.getResults().setGreeting(greeting);
    return kj::READY_NOW;
  }

  kj::Promise<void> swallow(SwallowContext context) override {
    context.getResults().setCount(context.getParams().getBytes().size());
    return kj::READY_NOW;
  }

  kj::Promise<void> upload(UploadContext context) override {
    count += context.getParams().getBytes().size();
    return kj::READY_NOW;
  }

  kj::Promise<void> uploaded(UploadedContext context) override {
    context.getResults().setCount(count);
    return kj::READY_NOW;
  }

  uint64_t count = 0;
};

int serve() {
  capnp::EzRpcServer server("127.0.0.1:0");
  server.exportCap("alice", kj::heap<Alice>());
  auto& scope = server.getWaitScope();
  std::cout << server.getPort().wait(scope) << std::endl;
  server.getLowLevelIoProvider().wrapInputFd(0)->readAllText().wait(scope);
  return 0;
}

int greet(const char* address, const char* id) {
  capnp::EzRpcClient client(address);
  auto& scope = client.getWaitScope();
  auto greeter = client.importCap<Greeter>(id);
  auto request = greeter.greetRequest();
  request.setName("C++");
  KJ_IF_MAYBE(exception, kj::runCatchingExceptions([&]() {
    std::cout << request.send().wait(scope).getGreeting().cStr() << std::endl;
    for (int i = 0; i < 64; i++) {
      auto upload = greeter.uploadRequest();
      upload.initBytes(256 << 10);
      upload.send().wait(scope);
    }
    std::cout << greeter.uploadedRequest().send().wait(scope).getCount() << std::endl;
  })) {
    std::cout << "refused: " << exception->getDescription().cStr() << std::endl;
  }
  return 0;
}

int main(int argc, char* argv[]) {
  std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "serve" && argc == 2) return serve();
  if (mode == "greet" && argc == 4) return greet(argv[2], argv[3]);
  std::cerr << "usage: ezrpc serve | greet ADDRESS ID" << std::endl;
  return 2;
}
