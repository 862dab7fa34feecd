// The same for the unit tests.
#include "system.hxx"
#include <gtest/gtest.h>
