// The units that ship, judged by systemd itself where it is installed: nothing in them is ignored,
// and they are hardened as far as programs in sandboxes allow. Running them is nobody's here: no
// service manager runs where tests do.
#include <filesystem>
#include <iostream>
#include <string>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class UnitsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(UnitsTest);
    CPPUNIT_TEST(nothing_in_them_is_ignored);
    CPPUNIT_TEST(the_service_is_hardened);
    CPPUNIT_TEST(sandboxes_can_be_made_under_it);
    CPPUNIT_TEST_SUITE_END();

public:
    void nothing_in_them_is_ignored() {
        if (skipped()) return;
        const Ran good = verify(service());
        CPPUNIT_ASSERT_EQUAL(std::string(), good.out + good.err);
        CPPUNIT_ASSERT_EQUAL(0, good.exit);
        // That it would say so:
        const Ran bad = verify(service() + "\n[Service]\nProtectEverything=yes\n");
        CPPUNIT_ASSERT_MESSAGE(bad.err, bad.err.find("ignoring") != std::string::npos);
    }

    void the_service_is_hardened() {
        if (skipped()) return;
        CPPUNIT_ASSERT_EQUAL(0, exposure(service()));
        CPPUNIT_ASSERT_MESSAGE("a bare one would be refused",
                               exposure("[Service]\nExecStart=/bin/true\n") != 0);
    }

    // What bubblewrap was seen to need; systemd's judgement would be better with each of these.
    void sandboxes_can_be_made_under_it() {
        for (const char* option :
             {"\nProtectKernelTunables=", "\nProcSubset=", "\nRestrictNamespaces=yes",
              "\nMemoryDenyWriteExecute=", "\nProtectControlGroups=", "\nProtectHostname="}) {
            CPPUNIT_ASSERT_MESSAGE(option, service().find(option) == std::string::npos);
        }
        for (const char* needed : {"\nDelegate=memory pids cpu\n", "AF_NETLINK",
                                   "\nSystemCallFilter=@system-service @mount sethostname\n",
                                   "\nRestrictNamespaces=user mnt pid net ipc uts cgroup\n"}) {
            CPPUNIT_ASSERT_MESSAGE(needed, service().find(needed) != std::string::npos);
        }
    }

private:
    static bool skipped() {
        if (is_installed("systemd-analyze")) return false;
        std::cout << " SKIPPED: systemd-analyze is not installed " << std::flush;
        return true;
    }

    static std::string unit(const std::string& name) {
        return read_file(std::string(LARDER_SOURCE_DIR) + "/systemd/" + name);
    }
    static std::string service() { return unit("larder.service"); }

    // As installed, but for the programs, which stand elsewhere here.
    Ran verify(std::string text) const {
        const std::string installed = "ExecStart=/usr/bin/larderd\n";
        const std::size_t at = text.find(installed);
        CPPUNIT_ASSERT(at != std::string::npos);
        text.replace(at, installed.size(), "ExecStart=" + DaemonProcess::binary() + "\n");
        write_file(folder_ / "larder.service", text);
        write_file(folder_ / "larder.socket", unit("larder.socket"));
        return run({"systemd-analyze", "verify", "--man=no", folder_ / "larder.service",
                    folder_ / "larder.socket"});
    }

    // 0 where systemd calls the exposure 2.8 or less.
    int exposure(const std::string& text) const {
        write_file(folder_ / "judged.service", text);
        return run({"systemd-analyze", "security", "--offline=yes", "--threshold=28", "--no-pager",
                    folder_ / "judged.service"})
            .exit;
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(UnitsTest);

}  // namespace
}  // namespace larder::test
