/* A library that exports main. */
#include "behave.h"

int main(int argc, char **argv) {
  return behave(argc, argv);
}
