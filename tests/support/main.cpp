// Runs the suites of the files named as arguments, all without any; closes with a line that counts.
#include <cppunit/BriefTestProgressListener.h>
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TestRunner.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <csignal>
#include <iostream>
#include <set>
#include <string>

#include "support/suite.hpp"

namespace {
std::set<std::string>& files() {
    static std::set<std::string> names;
    return names;
}
}  // namespace

larder::test::RegisterFile::RegisterFile(const char* name) { files().insert(name); }

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
    std::set<std::string> wanted(argv + 1, argv + argc);
    if (wanted.empty()) wanted = files();
    CppUnit::TestRunner runner;
    for (const auto& name : wanted) {
        if (!files().contains(name)) {
            std::cerr << "no test file registers '" << name << "'\n";
            return 2;
        }
        runner.addTest(CppUnit::TestFactoryRegistry::getRegistry(name).makeTest());
    }
    CppUnit::TestResult controller;
    CppUnit::TestResultCollector result;
    CppUnit::BriefTestProgressListener progress;
    controller.addListener(&result);
    controller.addListener(&progress);
    runner.run(controller);
    CppUnit::CompilerOutputter(&result, std::cerr).write();
    const int failed = result.testFailuresTotal();
    std::cout << result.runTests() - failed << " passed, " << failed << " failed\n";
    return result.wasSuccessful() && result.runTests() > 0 ? 0 : 1;
}
