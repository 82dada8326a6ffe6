// The support bundle: what is in it, what must not be, and that a daemon that is down leaves some.
#include <sys/stat.h>

#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class LarderctlSupportTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlSupportTest);
    CPPUNIT_TEST(collects_and_keeps_secrets_out);
    CPPUNIT_TEST(works_without_a_daemon);
    CPPUNIT_TEST(overwrites_nothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void collects_and_keeps_secrets_out() {
        DaemonProcess daemon({folder_ / "data",
                              {},
                              {{"LARDER_ALERTS_WEBHOOK_URL", "https://hooks.example/a"},
                               {"LARDER_ALERTS_WEBHOOK_SECRET", "s3cr3t-of-the-hook"}},
                              {},
                              true,
                              true,
                              {}});
        request(daemon.port(), "PUT", "/api/kv/storage/a", {}, R"("a value that is mine")");
        const Ran made = ctl({"--json", "support-bundle", bundle()});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        CPPUNIT_ASSERT(object_of(made.out)->getArray("entries")->size() >= 10);
        const std::string all = unpacked();
        for (const char* wanted : {"uptime", "webhook_secret", "larder_http_requests_total",
                                   "MemTotal", "storage.json"}) {
            CPPUNIT_ASSERT_MESSAGE(wanted, all.find(wanted) != std::string::npos);
        }
        CPPUNIT_ASSERT(all.find("s3cr3t-of-the-hook") == std::string::npos);
        CPPUNIT_ASSERT(all.find("a value that is mine") == std::string::npos);
        struct stat status {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(bundle().c_str(), &status));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("for its owner alone", 0U, status.st_mode & 077U);
    }

    void works_without_a_daemon() {
        const Ran made = ctl({"support-bundle", bundle()});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        CPPUNIT_ASSERT(made.err.find("without its answers") != std::string::npos);
        CPPUNIT_ASSERT(unpacked().find("is it running?") != std::string::npos);
    }

    void overwrites_nothing() {
        write_file(bundle(), "mine");
        const Ran refused = ctl({"support-bundle", bundle()});
        CPPUNIT_ASSERT_EQUAL(4, refused.exit);
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), read_file(bundle()));
    }

private:
    std::string bundle() const { return folder_ / "bundle.zip"; }
    Ran ctl(const std::vector<std::string>& words) const {
        std::vector<std::string> line{DaemonProcess::larderctl(), "--socket",
                                      folder_ / "data/larder.sock"};
        line.insert(line.end(), words.begin(), words.end());
        return run(line);
    }
    // Read by another program than the one that wrote it.
    std::string unpacked() const {
        const Ran read = run({"python3", "-c",
                              "import sys, zipfile\n"
                              "z = zipfile.ZipFile(sys.argv[1])\n"
                              "assert z.testzip() is None\n"
                              "for n in z.namelist(): print(n, z.read(n).decode())",
                              bundle()});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(read.err, 0, read.exit);
        return read.out;
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(LarderctlSupportTest);

}  // namespace
}  // namespace larder::test
