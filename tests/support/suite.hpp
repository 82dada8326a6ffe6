// What every test file includes: CppUnit, and the registration by which CTest finds the file's
// suite.
#pragma once

#include <cppunit/TestAssert.h>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

// Registers a fixture under its file's name (json_test.cpp → "json").
#define LARDER_TEST_SUITE(Fixture)                                    \
    CPPUNIT_TEST_SUITE_NAMED_REGISTRATION(Fixture, LARDER_TEST_FILE); \
    static const ::larder::test::RegisterFile larder_register_##Fixture { LARDER_TEST_FILE }

namespace larder::test {
struct RegisterFile {
    explicit RegisterFile(const char* name);
};
}  // namespace larder::test
