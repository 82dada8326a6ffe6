// The .ini files that ship with the plugins, against what the plugins' own libraries declare.
#include <cstdlib>
#include <filesystem>

#include "config/declarations.hpp"
#include "plugin_host/claims.hpp"
#include "plugin_host/library.hpp"
#include "support/daemon_process.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class ShippedSettingsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ShippedSettingsTest);
    CPPUNIT_TEST(every_plugin_ships_its_declared_settings);
    CPPUNIT_TEST_SUITE_END();

public:
    void every_plugin_ships_its_declared_settings() {
        const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
        auto libraries =
            plugin_host::load_libraries({(build / "lib" / "larder" / "plugins").string()});
        plugin_host::settle_claims(libraries);
        CPPUNIT_ASSERT(!libraries.empty());
        for (const auto& library : libraries) {
            CPPUNIT_ASSERT_MESSAGE(library.path + ": " + library.refusal, library.is_taken());
            const config::Declaration declaration = plugin_host::declarations_of({library}).front();
            config::check_declaration(declaration);
            const std::string text = config::etc_text(declaration, library.entry->summary);
            const std::string path =
                std::string(LARDER_SOURCE_DIR) + "/etc/plugins.d/" + library.name + ".ini";
            // after a change of a declaration: LARDER_WRITE_ETC=1 larder_unit_tests
            // shipped_settings
            if (std::getenv("LARDER_WRITE_ETC") != nullptr) write_file(path, text);
            CPPUNIT_ASSERT_EQUAL(text, read_file(path));
        }
    }
};

LARDER_TEST_SUITE(ShippedSettingsTest);

}  // namespace
}  // namespace larder::test
