// setkey(8): the SAs and policies of salined by hand.
#include <iostream>

#include "host/setkey/command.hpp"

int main(int argc, char* argv[]) {
  std::ios::sync_with_stdio(false);
  return saline::setkey::run(argc, argv, std::cin, std::cout, std::cerr);
}
