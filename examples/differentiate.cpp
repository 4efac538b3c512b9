// A program of your own: takes a loss by name, with options, and differentiates it.
#include <foil/host.h>

#include <torch/types.h>

#include <iostream>

int main() {
  foil::load_plugins();
  const auto loss = foil::make_loss("infonce", "temperature = 0.2");
  torch::manual_seed(0);
  const torch::Tensor z1 = torch::randn({8, 4}).requires_grad_(), z2 = torch::randn({8, 4}).requires_grad_();
  const foil::LossInput input = foil::make_input(*loss, {z1, z2});
  loss->setup(input.sizes);
  const torch::Tensor value = (*loss)(input);
  value.backward();
  std::cout << "infonce " << value.item<double>() << ", its gradient has norm "
            << z1.grad().norm().item<double>() << "\n";
}
