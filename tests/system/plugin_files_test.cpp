// What stands in a plugin folder and is no good plugin: refused by name and with the reason, and
// without harm to the others. The judging itself is unit/stamp_test.cpp's.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class PluginFilesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PluginFilesTest);
    CPPUNIT_TEST(refuses_what_is_no_good_plugin);
    CPPUNIT_TEST(refuses_a_second_plugin_of_the_same_name);
    CPPUNIT_TEST(refuses_a_folder_others_may_write_to);
    CPPUNIT_TEST(passes_over_a_folder_that_is_not_there);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { fs::create_directory(plugins()); }

    void refuses_what_is_no_good_plugin() {
        const std::string kv = read_file(own_plugin());
        write_file(plugins() + "/truncated.so", kv.substr(0, kv.size() / 2));
        write_file(plugins() + "/headless.so", kv.substr(0, 100));
        write_file(plugins() + "/garbage.so", std::string(10000, '\xa5'));
        write_file(plugins() + "/empty.so", "");
        write_file(plugins() + "/text.so", "INPUT(-lc)\n");
        std::string minor = kv;
        const std::size_t stamp = minor.find("LARDERP1");
        CPPUNIT_ASSERT(stamp != std::string::npos);
        minor[stamp + 12] = '\x7f';  // api_major
        write_file(plugins() + "/future.so", minor);
        fs::create_directory(plugins() + "/folder.so");
        fs::create_symlink("/nowhere", plugins() + "/dangling.so");
        fs::copy_file(foreign_library(), plugins() + "/unstamped.so");
        write_file(plugins() + "/notes.txt", "passed over");

        DaemonProcess daemon(options());
        const auto list = object_of(request(daemon.port(), "GET", "/api/plugins").body);
        for (const auto& [name, why] :
             std::vector<std::pair<std::string, std::string>>{{"truncated", "cut short"},
                                                              {"headless", "copy the file anew"},
                                                              {"garbage", "no ELF"},
                                                              {"empty", "no ELF"},
                                                              {"text", "no ELF"},
                                                              {"future", "127.0"},
                                                              {"folder", "no ELF"},
                                                              {"dangling", "cannot be read"},
                                                              {"unstamped", "LARDER_PLUGIN"}}) {
            const auto plugin = find_item(list, {{"name", name}});
            CPPUNIT_ASSERT_MESSAGE(name, !plugin.isNull());
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, std::string("refused"),
                                         plugin->getValue<std::string>("state"));
            const auto reason = plugin->getValue<std::string>("reason");
            CPPUNIT_ASSERT_MESSAGE(fmt::format("{}: {}", name, reason),
                                   reason.find(why) != std::string::npos);
            CPPUNIT_ASSERT(daemon.wait_for_log(fmt::format("refused {}/{}.so", plugins(), name)));
        }
        CPPUNIT_ASSERT(find_item(list, {{"name", "notes"}}).isNull());
        CPPUNIT_ASSERT_EQUAL(std::string("running"),
                             find_item(list, {{"name", "kv"}})->getValue<std::string>("state"));
        CPPUNIT_ASSERT_EQUAL(201,
                             request(daemon.port(), "PUT", "/api/kv/storage/a", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void refuses_a_second_plugin_of_the_same_name() {
        fs::copy_file(own_plugin(), plugins() + "/other.so");
        DaemonProcess daemon(options());
        const auto list = object_of(request(daemon.port(), "GET", "/api/plugins").body);
        const auto first = find_item(list, {{"name", "kv"}, {"state", "running"}});
        const auto second = find_item(list, {{"name", "kv"}, {"state", "refused"}});
        CPPUNIT_ASSERT(!first.isNull());
        CPPUNIT_ASSERT(!second.isNull());
        CPPUNIT_ASSERT_EQUAL(plugins() + "/other.so", second->getValue<std::string>("file"));
        CPPUNIT_ASSERT(second->getValue<std::string>("reason").find("kv.so is a plugin") !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/api/kv").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void refuses_a_folder_others_may_write_to() {
        CPPUNIT_ASSERT_EQUAL(0, chmod(plugins().c_str(), 0777));
        const Ran ran = run(
            {DaemonProcess::binary(), "--data-dir", folder_ / "data", "--listen", "127.0.0.1:0"},
            {{"LARDER_DAEMON_PLUGIN_DIRS", plugins()}});
        CPPUNIT_ASSERT_EQUAL(69, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find(plugins()) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("chmod o-w") != std::string::npos);
    }

    void passes_over_a_folder_that_is_not_there() {
        fs::remove(plugins());
        DaemonProcess daemon(options());
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/api/kv").status);
    }

private:
    std::string plugins() const { return folder_ / "plugins"; }
    static std::string own_plugin() {
        return (fs::path(DaemonProcess::binary()).parent_path().parent_path() /
                "lib/larder/plugins/kv.so")
            .string();
    }
    // Some shared library of the system's that is no plugin: the C library this test runs with.
    static std::string foreign_library() {
        const std::string maps = read_file("/proc/self/maps");
        const std::size_t end = maps.find("libc.so.6") + 9;
        const std::size_t begin = maps.rfind(' ', end) + 1;
        return maps.substr(begin, end - begin);
    }
    DaemonOptions options() const {
        return {
            folder_ / "data", {}, {{"LARDER_DAEMON_PLUGIN_DIRS", plugins()}}, {}, true, true, {}};
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(PluginFilesTest);

}  // namespace
}  // namespace larder::test
