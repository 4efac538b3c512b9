// SPDX-License-Identifier: BSD-3-Clause
// Ranks as real processes: a program of tests is also the parent (`--parent GRACE_MS SCENE NPROC
// PATIENCE_MS`) and the rank (`--rank SCENE`) that its tests start. What a rank does is called a scene.
#include "ranks/failure.h"
#include "ranks/reducer.h"
#include "ranks/spawn.h"
#include "ranks/world.h"

#include <c10/util/Logging.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <thread>

namespace {

using namespace std::chrono_literals;
using at::Tensor;
using foil::World;

volatile std::sig_atomic_t got_signal = 0;

void sleep_for_ever() {
  while (true) pause();
}

struct Fails : torch::autograd::Function<Fails> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x * 1.0; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list) {
    throw foil::Error("no gradient today", foil::Exit::non_finite);
  }
};

void one_step(World& world, bool fails) {
  const Tensor weight = torch::ones({4, 4}, torch::kDouble).requires_grad_();
  foil::GradientReducer reducer({{"weight", weight}}, world.shared_from_this());
  const Tensor z = world.gather(torch::matmul(torch::ones({3, 4}, torch::kDouble), weight));
  const Tensor loss = fails ? Fails::apply(z).sum() : z.sum();
  reducer.prepare(loss);
  loss.backward();
  world.barrier();
}

// A group with a collective that rank 0 has begun and rank 1 begins when it is told to, both after the end of
// the run.
c10::intrusive_ptr<c10d::ProcessGroup> left_work;

void begin_left_work() {
  std::vector<Tensor> one = {torch::ones({1})};
  left_work->allreduce(one);
  left_work.reset();  // which waits for it
}

// Two ranks in one collective that brings them nothing.
int stuck() {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  foil::Failure first(store, 0, 2, false, 60s, [] {}), second(store, 1, 2, false, 60s, [] {});
  const foil::Failure::Wait first_waits(first, "gather"), second_waits(second, "gather");
  sleep_for_ever();
  return 0;
}

int play(const std::string& scene, World& world) {
  const int64_t rank = world.rank();
  if (scene == "trains") {
    one_step(world, false);
    if (rank == 0) std::cout << "trained " << world.world_size() << "\n";
  } else if (scene == "fails_in_backward") {
    one_step(world, rank == 1);
  } else if (scene == "fails_on_rank_0") {
    one_step(world, rank == 0);
  } else if (scene == "fails_alone") {  // the others are in no collective: they get SIGTERM
    if (rank == 1) throw foil::Error("alone", foil::Exit::data);
    sleep_for_ever();
  } else if (scene == "killed") {
    if (rank == 2) raise(SIGKILL);
    world.barrier();
  } else if (scene == "stays") {  // until it is told to go on
    std::signal(SIGUSR1, [](int s) { got_signal = s; });
    std::cout << "ready " + std::to_string(getpid()) + "\n" << std::flush;
    while (!got_signal) std::this_thread::sleep_for(10ms);
    one_step(world, false);
    std::cout << "trained\n" << std::flush;
  } else if (scene == "leaves_work") {
    std::signal(SIGUSR1, [](int s) { got_signal = s; });
    left_work = world.new_group("work");
    if (rank == 0) begin_left_work();
  } else if (scene == "late") {
    if (rank == 2) sleep_for_ever();
    world.barrier();
  } else if (scene == "stopped") {  // as a rank in a machine that swaps, or under a debugger
    if (rank == 1) raise(SIGSTOP);
    if (rank == 2) sleep_for_ever();
    world.barrier();
  } else if (scene == "nan_on_rank_2") {
    const std::string error = world.first_error(rank == 2 ? "step 7: the loss is nan" : "");
    if (!error.empty()) throw foil::Error(error, foil::Exit::non_finite);
  }
  return 0;
}

int rank_main(const std::string& scene) {
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL: LibTorch warns of a store that closes while it is watched
  const foil::Launch launch = foil::read_launch();
  // Scenes without a world: processes alone.
  if (scene == "stuck") return stuck();
  if (scene == "unprepared") {
    std::cout << "ready\n" << std::flush;
    sleep_for_ever();
  }
  if (scene == "stubborn") {
    if (launch.rank == 0) return 5;
    std::signal(SIGTERM, SIG_IGN);
    sleep_for_ever();
  }
  if (scene == "waits") {
    for (int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, [](int s) { got_signal = s; });
    std::cout << "ready " + std::to_string(getpid()) + " " + std::to_string(launch.local_rank) + "/" +
                     std::to_string(launch.local_world_size) + "\n"
              << std::flush;
    while (true) {
      const int signal = std::exchange(got_signal, 0);
      if (signal) std::cout << "signal " + std::to_string(signal) + ".\n" << std::flush;
      if (signal == SIGTERM) {
        std::this_thread::sleep_for(400ms * launch.rank);  // one rank ends well before the other
        std::cout << "end\n" << std::flush;
        return 75;
      }
      std::this_thread::sleep_for(10ms);
    }
  }
  std::shared_ptr<World> world;
  try {
    if (scene == "never_comes" && launch.rank == 2) sleep_for_ever();
    const auto patience = scene == "late" || scene == "never_comes" ? 15s : scene == "stopped" ? 60s : 600s;
    world = World::make(launch, at::kCPU, patience);  // a test that needs the 600 s fails
    const int code = play(scene, *world);
    world->close();
    if (scene == "never_ends" && launch.rank == 1) raise(SIGSTOP);
    if (scene == "none_ends") sleep_for_ever();
    if (scene == "leaves_work" && launch.rank == 1) {
      while (!got_signal) std::this_thread::sleep_for(10ms);
      begin_left_work();
    }
    return code;
  } catch (const std::exception& e) {
    const foil::Error reason = world ? world->explain(e) : foil::Error(e.what());
    if (!world || world->speaks()) std::cerr << "foil: " << reason.what() << std::endl;
    foil::write_error_file(reason.what(), static_cast<int>(reason.code()));
    return static_cast<int>(reason.code());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc > 2 ? argv[1] : "";
  try {
    if (role == "--rank") return rank_main(argv[2]);
    if (role == "--parent")
      return foil::spawn_ranks(std::stoi(argv[4]), {argv[0], "--rank", argv[3], "--nproc", argv[4]},
                               std::chrono::milliseconds(std::stoi(argv[2])),
                               std::chrono::milliseconds(std::stoi(argv[5])));
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 99;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
