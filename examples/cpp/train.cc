// Trains a small convolutional network under a budget in bytes, without Python in the process.
//
//   train [budget]      "24 MiB", say; without one: halfway between what the step takes unplanned
//                       and the least it can be held to
#include <tidemark/tidemark.h>
#include <torch/nn.h>
#include <torch/optim/sgd.h>

#include <cstdlib>
#include <exception>
#include <iostream>

namespace nn = torch::nn;
using tidemark::Bytes;
using tidemark::format_bytes;
using tidemark::MemoryBudget;

namespace {

constexpr int kNumSteps = 12;

nn::Sequential make_model() {
  return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(3, 16, 3).padding(1)), nn::BatchNorm2d(16),
                        nn::ReLU(nn::ReLUOptions(true)),
                        nn::Conv2d(nn::Conv2dOptions(16, 16, 3).padding(1)), nn::BatchNorm2d(16),
                        nn::ReLU(nn::ReLUOptions(true)), nn::MaxPool2d(nn::MaxPool2dOptions(2)),
                        nn::Conv2d(nn::Conv2dOptions(16, 32, 3).padding(1)), nn::BatchNorm2d(32),
                        nn::ReLU(nn::ReLUOptions(true)), nn::MaxPool2d(nn::MaxPool2dOptions(2)),
                        nn::Flatten(), nn::Dropout(0.5), nn::Linear(32 * 8 * 8, 10));
}

// Trains for `num_steps` under `budget`; returns the last loss.
double train(MemoryBudget& budget, int num_steps) {
  torch::manual_seed(1);
  auto model = make_model();
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.02).momentum(0.9));
  const auto images = torch::randn({32, 3, 32, 32});
  const auto labels = torch::randint(10, {32});
  torch::Tensor loss;
  for (int i = 0; i < num_steps; ++i) {
    auto step = budget.step();
    loss = torch::cross_entropy_loss(model->forward(images), labels);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
  }
  return loss.item<double>();
}

// Watches a few steps without a limit and plans them.
Bytes halfway_budget() {
  MemoryBudget unlimited{tidemark::kUnlimited};
  train(unlimited, 3);
  const auto plan =
      tidemark::plan(*unlimited.graph(), tidemark::kUnlimited, {.least_feasible = true}).value();
  return (*plan.least_feasible_bytes + plan.unplanned_peak_bytes) / 2;
}

void print_report(const MemoryBudget& budget) {
  const auto report =
      tidemark::make_report(*budget.graph(), *budget.plan(),
                            {.steps = budget.counts(), .measured_peak_bytes = budget.peak_bytes()});
  std::cout << tidemark::to_text(report) << "\n";
}

int run(int argc, char** argv) {
  MemoryBudget budget{argc > 1 ? tidemark::parse_bytes(argv[1]) : halfway_budget()};
  const double loss = train(budget, kNumSteps);
  print_report(budget);
  const auto& last = budget.last_step();
  if (!last.promised_bytes) {
    std::cerr << "the last step was not planned: " << last.difference << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "budget         " << format_bytes(budget.memory()) << "\n"
            << "peak promised  " << format_bytes(*last.promised_bytes) << "\n"
            << "peak measured  " << format_bytes(last.peak_bytes) << "\n"
            << "largest peak   " << format_bytes(budget.peak_bytes()) << " in any step\n"
            << "last loss      " << loss << "\n";
  const bool is_kept = last.peak_bytes == *last.promised_bytes &&
                       budget.peak_bytes() <= budget.memory() &&
                       budget.counts().planned >= kNumSteps - 2;
  return is_kept ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const c10::Error& error) {  // BudgetExceeded: a watched step had nothing to give back
    std::cerr << error.what_without_backtrace() << "\n";
    return EXIT_FAILURE;
  } catch (const std::exception& error) {  // BudgetInfeasible says what would be feasible
    std::cerr << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
