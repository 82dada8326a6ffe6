// The configuration from its sources to a reload: what wins, where values come from, every mistake
// at once, the shipped larder.ini. Contents: a folder of files · precedence and origins · mistakes
// · plugins · showing · reload.
#include "config/configuration.hpp"

#include <Poco/Util/MapConfiguration.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "config/loader.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace larder::config;  // NOLINT(google-build-using-namespace)
using larder::Error;
using larder::Setting;
using larder::test::read_file;
using larder::test::write_file;

namespace {

constexpr Setting kPantry[] = {
    {"max_value", "bytes", "1MiB", "1KiB", "64MiB", "The largest value.", true, false},
    {"keep", "duration", "off", "1h", nullptr, "How long old jars are kept.", false, false},
    {"secret", "text", "", nullptr, nullptr, "What the cook alone knows.", true, true},
    {"pin", "integer", "none", "1000", "9999", "The number at the door.", false, true},
    {"note", "text", "a \\ \"b\" # c", nullptr, nullptr, "A text that wants quotes.", true, false},
    {"folder", "path", "", nullptr, nullptr, "Where the jars are.", false, false},
};
const Declaration kPantryPlugin{.section = "pantry", .settings = kPantry};

std::vector<std::string> faults_of(Loader& loader, std::span<const Declaration> plugins) {
    std::vector<std::string> texts;
    try {
        loader.with_plugins(plugins);
    } catch (const ConfigError& error) {
        for (const Fault& fault : error.faults()) texts.push_back(to_string(fault));
    }
    return texts;
}

void assert_same(const std::vector<std::string>& expected, const std::vector<std::string>& got) {
    CPPUNIT_ASSERT_EQUAL(fmt::format("\n{}\n", fmt::join(expected, "\n")),
                         fmt::format("\n{}\n", fmt::join(got, "\n")));
}

}  // namespace

class ConfigurationTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ConfigurationTest);
    CPPUNIT_TEST(defaults_without_any_file);
    CPPUNIT_TEST(stronger_sources_win_and_are_named);
    CPPUNIT_TEST(relative_paths_mean_the_shell_folder);
    CPPUNIT_TEST(a_named_file_must_exist);
    CPPUNIT_TEST(strange_files_are_refused);
    CPPUNIT_TEST(unknown_names_get_a_suggestion);
    CPPUNIT_TEST(all_faults_are_told_at_once);
    CPPUNIT_TEST(sections_stand_in_their_files);
    CPPUNIT_TEST(mistaken_settings_stand_at_defaults_meanwhile);
    CPPUNIT_TEST(bad_overrides_are_faults);
    CPPUNIT_TEST(unknown_variables_are_warnings);
    CPPUNIT_TEST(a_variable_with_two_meanings_is_refused);
    CPPUNIT_TEST(plugins_have_an_enabled_flag);
    CPPUNIT_TEST(a_refused_plugin_keeps_its_file);
    CPPUNIT_TEST(malformed_declarations_are_the_plugins_fault);
    CPPUNIT_TEST(reading_what_was_not_declared_is_an_error);
    CPPUNIT_TEST(secrets_are_masked_everywhere);
    CPPUNIT_TEST(poco_gets_every_setting);
    CPPUNIT_TEST(own_declarations_are_well_formed);
    CPPUNIT_TEST(the_shipped_file_equals_the_declarations);
    CPPUNIT_TEST(the_commented_file_read_uncommented_is_the_defaults);
    CPPUNIT_TEST(changes_are_split_by_what_they_need);
    CPPUNIT_TEST(a_restarted_plugin_takes_its_whole_section);
    CPPUNIT_TEST_SUITE_END();

    larder::test::TemporaryFolder scratch_;
    const fs::path folder_ = scratch_.path();

public:
    void setUp() override { fs::create_directory(folder_ / "plugins.d"); }

private:
    std::string own_file() const { return (folder_ / "larder.ini").string(); }
    std::string pantry_file() const { return (folder_ / "plugins.d/pantry.ini").string(); }

    Sources sources() const {
        Sources made;
        made.file = own_file();
        made.working_directory = "/home/cook";
        return made;
    }
    std::vector<std::string> faults(std::span<const Declaration> plugins = {&kPantryPlugin, 1}) {
        Loader loader(sources());
        return faults_of(loader, plugins);
    }
    Configuration load(const Sources& from) const {
        Loader loader(from);
        return loader.with_plugins({&kPantryPlugin, 1});
    }

    // ---- precedence and origins

    void defaults_without_any_file() {
        for (const std::string& file : {std::string(), own_file()}) {
            Sources from = sources();
            from.file = file;
            Loader loader(from);
            const Configuration all = loader.with_plugins({&kPantryPlugin, 1});
            CPPUNIT_ASSERT(loader.warnings().empty());
            CPPUNIT_ASSERT_EQUAL(std::string("/var/lib/larder"),
                                 all.section("daemon")->text("data_dir"));
            CPPUNIT_ASSERT_EQUAL(std::int64_t{16},
                                 all.section("daemon")->integer("worker_threads"));
            CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, all.section("http")->integer("reactors"));
            CPPUNIT_ASSERT(std::chrono::seconds(75) ==
                           all.section("http")->duration("idle_timeout"));
            CPPUNIT_ASSERT(!all.section("auth")->flag("enabled"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1U << 20U},
                                 all.section("pantry")->bytes("max_value"));
            CPPUNIT_ASSERT(std::chrono::seconds(0) == all.section("pantry")->duration("keep"));
            CPPUNIT_ASSERT(all.section("pantry")->flag("enabled"));
            CPPUNIT_ASSERT(Origin::Kind::fallback == all.entries().front().origin.kind);
        }
    }

    void stronger_sources_win_and_are_named() {
        write_file(own_file(),
                   "# mine\n[http]\nlisten = 127.0.0.1:1\nreactors = 2\nhead_timeout = 1s\n");
        write_file(pantry_file(), "[pantry]\nmax_value = 2KiB\n");
        Sources from = sources();
        from.environment = {{"LARDER_HTTP_LISTEN", "127.0.0.1:2"},
                            {"LARDER_HTTP_REACTORS", "3"},
                            {"LARDER_PANTRY_MAX_VALUE", "3KiB"},
                            {"PATH", "/bin"}};
        from.overrides = {
            {"http.listen", "127.0.0.1:9"}, {"http.listen", "127.0.0.1:3"}, {"pantry.keep", "2h"}};
        const Configuration all = load(from);
        const auto http = all.section("http");
        const auto pantry = all.section("pantry");
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1:3"), http->text("listen"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3}, http->integer("reactors"));
        CPPUNIT_ASSERT(std::chrono::seconds(1) == http->duration("head_timeout"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3072}, pantry->bytes("max_value"));
        CPPUNIT_ASSERT_EQUAL(std::string("command line"), to_string(http->find("listen")->origin));
        CPPUNIT_ASSERT_EQUAL(std::string("environment LARDER_HTTP_REACTORS"),
                             to_string(http->find("reactors")->origin));
        CPPUNIT_ASSERT_EQUAL(own_file() + ":5", to_string(http->find("head_timeout")->origin));
        CPPUNIT_ASSERT_EQUAL(std::string("default"), to_string(http->find("socket")->origin));
        CPPUNIT_ASSERT_EQUAL(std::string("command line"), to_string(pantry->find("keep")->origin));
    }

    void relative_paths_mean_the_shell_folder() {
        write_file(own_file(), "[daemon]\ndata_dir = data\n");
        assert_same({own_file() + ":2: daemon.data_dir: expected an absolute path, got 'data'"},
                    faults());
        Sources from = sources();
        from.overrides = {{"daemon.data_dir", "./data/../store"}};
        from.environment = {{"LARDER_PANTRY_FOLDER", "jars"}};
        const Configuration all = load(from);
        CPPUNIT_ASSERT_EQUAL(std::string("/home/cook/store"),
                             all.section("daemon")->text("data_dir"));
        CPPUNIT_ASSERT_EQUAL(std::string("/home/cook/jars"), all.section("pantry")->text("folder"));
    }

    // ---- mistakes

    void a_named_file_must_exist() {
        Sources from = sources();
        from.file_named = true;
        Loader loader(from);
        assert_same({own_file() + ": expected a readable file, got 'No such file or directory'"},
                    faults_of(loader, {&kPantryPlugin, 1}));
    }

    void strange_files_are_refused() {
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(own_file().c_str(), 0600));
        write_file(folder_ / "plugins.d/Pantry.ini", "");
        write_file(folder_ / "plugins.d/http.ini", "");
        write_file(folder_ / "plugins.d/pantry.ini.dpkg-dist", "junk");
        write_file(folder_ / "plugins.d/.swp.ini", "junk");
        Loader loader(sources());
        assert_same({own_file() + ": expected a regular file, got something else",
                     (folder_ / "plugins.d/Pantry.ini").string() +
                         ": expected a plugin's id as the file's name, such as kv.ini",
                     (folder_ / "plugins.d/http.ini").string() +
                         ": [http] is the daemon's own: put it into " + own_file() +
                         " and remove this file"},
                    faults_of(loader, {&kPantryPlugin, 1}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, loader.warnings().size());
        CPPUNIT_ASSERT(loader.warnings()[0].find("does not end in .ini") != std::string::npos);
    }

    void unknown_names_get_a_suggestion() {
        write_file(own_file(), "[http]\nlisen = 127.0.0.1:1\ncolour = red\n[htpp]\nx = 1\n");
        write_file(pantry_file(), "[pantry]\nmax_valeu = 1KiB\n");
        write_file(folder_ / "plugins.d/pantrie.ini", "[pantrie]\n");
        assert_same(
            {own_file() + ":2: http.lisen: unknown key; did you mean 'listen'?",
             own_file() + ":3: http.colour: unknown key",
             own_file() + ":4: [htpp]: expected [daemon], [http], [auth], [alerts] here; a "
                          "plugin's section stands in plugins.d/htpp.ini; did you mean 'http'?",
             (folder_ / "plugins.d/pantrie.ini").string() +
                 ": no plugin 'pantrie' was found in daemon.plugin_dirs; install it or remove this "
                 "file; did you mean 'pantry'?",
             pantry_file() + ":2: pantry.max_valeu: unknown key; did you mean 'max_value'?"},
            faults());
    }

    void all_faults_are_told_at_once() {
        write_file(own_file(), "[http]\njunk\nreactors = many\n[daemon]\nlog_level = loud\n");
        write_file(pantry_file(), "[pantry]\nmax_value = 65MiB\nenabled = yes\n");
        assert_same(
            {own_file() + ":2: expected 'key = value', [section] or a # comment, got 'junk'",
             own_file() +
                 ":5: daemon.log_level: expected one of debug, info, notice, warning, error, "
                 "got 'loud'",
             own_file() + ":3: http.reactors: expected a whole number such as 42, got 'many'",
             pantry_file() + ":3: pantry.enabled: expected true or false, got 'yes'",
             pantry_file() + ":2: pantry.max_value: expected 1KiB to 64MiB, got '65MiB'"},
            faults());
    }

    void sections_stand_in_their_files() {
        write_file(own_file(), "[pantry]\nmax_value = 1KiB\n");
        write_file(pantry_file(), "[http]\nlisten = x\n[pantry]\n[kv]\n");
        assert_same(
            {own_file() + ":1: [pantry]: expected [daemon], [http], [auth], [alerts] here; a "
                          "plugin's section stands in plugins.d/pantry.ini",
             pantry_file() + ":1: [http]: expected [pantry] alone here; [http] stands in "
                             "larder.ini",
             pantry_file() + ":4: [kv]: expected [pantry] alone here; [kv] stands in "
                             "plugins.d/kv.ini"},
            faults());
    }

    void mistaken_settings_stand_at_defaults_meanwhile() {
        write_file(own_file(), "[daemon]\nworker_threads = 0\nplugin_dirs = /opt/larder\n");
        const Loader loader(sources());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, loader.faults().size());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{16},
                             loader.own().section("daemon")->integer("worker_threads"));
        CPPUNIT_ASSERT_EQUAL(std::string("/opt/larder"),
                             loader.own().section("daemon")->list("plugin_dirs").at(0));
    }

    void bad_overrides_are_faults() {
        Sources from = sources();
        from.overrides = {{"listen", "x"},       {"http.lisen", "x"},   {"pantry.kep", "1h"},
                          {"pantri.keep", "1h"}, {"http.reactors", ""}, {"pantry.secret", "a\nb"}};
        Loader loader(from);
        assert_same(
            {"command line: listen: expected section.key=value, such as http.listen=…",
             "command line: http.reactors: expected a whole number such as 42, got nothing",
             "command line: http.lisen: unknown key; did you mean 'listen'?",
             "command line: pantry.secret: expected text, got something else (not shown: a secret)",
             "command line: pantri.keep: unknown section; did you mean 'pantry'?",
             "command line: pantry.kep: unknown key; did you mean 'keep'?"},
            faults_of(loader, {&kPantryPlugin, 1}));
    }

    void unknown_variables_are_warnings() {
        Sources from = sources();
        from.environment = {
            {"LARDER_HTTP_LISEN", "x"}, {"LARDER_PANTRY_KEEP", "2h"}, {"HOME", "/"}};
        Loader loader(from);
        loader.with_plugins({&kPantryPlugin, 1});
        assert_same(
            {"environment variable LARDER_HTTP_LISEN names no setting and is passed over; did "
             "you mean 'LARDER_HTTP_LISTEN'?"},
            loader.warnings());
    }

    void a_variable_with_two_meanings_is_refused() {
        static constexpr Setting kOne[] = {
            {"b_c", "text", "", nullptr, nullptr, "One.", false, false}};
        static constexpr Setting kTwo[] = {
            {"c", "text", "", nullptr, nullptr, "Two.", false, false}};
        const Declaration plugins[] = {{.section = "a", .settings = kOne},
                                       {.section = "a_b", .settings = kTwo}};
        Sources from = sources();
        Loader calm(from);
        assert_same({}, faults_of(calm, plugins));
        from.environment = {{"LARDER_A_B_C", "x"}};
        Loader loader(from);
        assert_same(
            {"environment: a_b.c: LARDER_A_B_C could mean a.b_c or a_b.c; set them in their "
             "files"},
            faults_of(loader, plugins));
    }

    // ---- plugins

    void plugins_have_an_enabled_flag() {
        Declaration third = kPantryPlugin;
        third.enabled_by_default = false;
        Loader quiet(sources());
        CPPUNIT_ASSERT(!quiet.with_plugins({&third, 1}).section("pantry")->flag("enabled"));
        write_file(pantry_file(), "[pantry]\nenabled = true\n");
        Loader loader(sources());
        CPPUNIT_ASSERT(loader.with_plugins({&third, 1}).section("pantry")->flag("enabled"));
        static constexpr Setting kDeclares[] = {
            {"enabled", "flag", "false", nullptr, nullptr, "Mine.", false, false}};
        const Declaration own{.section = "pantry", .settings = kDeclares};
        Loader declared(sources());
        const auto section = declared.with_plugins({&own, 1}).section("pantry");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, section->items().size());
        CPPUNIT_ASSERT(section->flag("enabled"));
    }

    void a_refused_plugin_keeps_its_file() {
        write_file(pantry_file(), "[pantry]\nenabled = false\nunheard_of = 1\n");
        const Declaration refused{.section = "pantry", .settings = {}, .known = false};
        Sources from = sources();
        from.environment = {{"LARDER_PANTRY_UNHEARD_OF", "1"}};
        from.overrides = {{"pantry.unheard_of", "1"}};
        Loader loader(from);
        const Configuration all = loader.with_plugins({&refused, 1});
        CPPUNIT_ASSERT(!all.section("pantry")->flag("enabled"));
        CPPUNIT_ASSERT(loader.warnings().empty());
    }

    void malformed_declarations_are_the_plugins_fault() {
        static constexpr Setting kTwice[] = {
            {"a", "text", "", nullptr, nullptr, "One.", false, false},
            {"a", "text", "", nullptr, nullptr, "Two.", false, false}};
        static constexpr Setting kEnabled[] = {
            {"enabled", "text", "", nullptr, nullptr, "No flag.", false, false}};
        for (const Declaration& wrong :
             {Declaration{.section = "x", .settings = kTwice}, Declaration{.section = "http"},
              Declaration{.section = "X"}, Declaration{.section = "x", .settings = kEnabled}}) {
            Loader loader(sources());
            CPPUNIT_ASSERT_THROW(loader.with_plugins({&wrong, 1}), Error);
        }
    }

    // ---- showing

    void reading_what_was_not_declared_is_an_error() {
        const Configuration all = load(sources());
        const auto pantry = all.section("pantry");
        CPPUNIT_ASSERT_THROW(pantry->text("jam"), Error);
        CPPUNIT_ASSERT_THROW(pantry->integer("max_value"), Error);
        CPPUNIT_ASSERT_THROW(pantry->flag("keep"), Error);
        CPPUNIT_ASSERT_EQUAL(std::string("1MiB"), pantry->text("max_value"));
        CPPUNIT_ASSERT_THROW(all.section("jam"), Error);
        CPPUNIT_ASSERT(all.find("jam") == nullptr);
    }

    void secrets_are_masked_everywhere() {
        write_file(pantry_file(), "[pantry]\nsecret = swordfish\n");
        const Configuration before = load(sources());
        for (const Shown& shown : before.entries()) {
            CPPUNIT_ASSERT(shown.value.find("swordfish") == std::string::npos);
            if (shown.key != "secret") continue;
            CPPUNIT_ASSERT_EQUAL(std::string("********"), shown.value);
            CPPUNIT_ASSERT(shown.secret);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("swordfish"), before.section("pantry")->text("secret"));
        write_file(pantry_file(), "[pantry]\nsecret = haddock\n");
        const Changes found = changes(before, load(sources()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, found.applied.size());
        CPPUNIT_ASSERT_EQUAL(std::string("********"), found.applied[0].before);
        CPPUNIT_ASSERT_EQUAL(std::string("********"), found.applied[0].after);
        write_file(pantry_file(), "[pantry]\npin = 12345\n");
        assert_same({pantry_file() + ":2: pantry.pin: expected integer, 1000 to 9999, or none, got "
                                     "something else (not shown: a secret)"},
                    faults());
    }

    void poco_gets_every_setting() {
        const Configuration all = load(sources());
        Poco::AutoPtr<Poco::Util::MapConfiguration> poco(new Poco::Util::MapConfiguration);
        all.fill(*poco);
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1:8080"), poco->getString("http.listen"));
        CPPUNIT_ASSERT_EQUAL(std::string("1MiB"), poco->getString("pantry.max_value"));
        CPPUNIT_ASSERT(!poco->getBool("auth.enabled"));
    }

    void own_declarations_are_well_formed() {
        for (const Declaration& declaration : own_declarations()) check_declaration(declaration);
    }

    void the_shipped_file_equals_the_declarations() {
        const fs::path path = fs::path(LARDER_SOURCE_DIR) / "etc/larder.ini";
        // after a change of the declarations: LARDER_WRITE_ETC=1 larder_unit_tests configuration
        if (std::getenv("LARDER_WRITE_ETC") != nullptr) write_file(path, own_etc_text());
        CPPUNIT_ASSERT_EQUAL(own_etc_text(), read_file(path));
        write_file(own_file(), read_file(path));
        assert_same({}, faults());
    }

    // Every commented default must be a value that the reader takes and that means the default.
    void the_commented_file_read_uncommented_is_the_defaults() {
        std::string text = etc_text(kPantryPlugin, "jars in rows");
        for (std::size_t at = text.find("\n#"); at != std::string::npos;
             at = text.find("\n#", at + 1)) {
            if (text[at + 2] != ' ' && text[at + 2] != '\n') text.erase(at + 1, 1);
        }
        write_file(pantry_file(), text);
        const auto section = load(sources()).section("pantry");
        CPPUNIT_ASSERT_EQUAL(std::size(kPantry) + 1, section->items().size());
        for (const Section::Item& item : section->items()) {
            CPPUNIT_ASSERT_EQUAL(std::string(item.setting.fallback), item.value.text);
            CPPUNIT_ASSERT(Origin::Kind::file == item.origin.kind);
        }
        CPPUNIT_ASSERT(text.find("How long old jars are kept.") != std::string::npos);
    }

    // ---- reload

    void changes_are_split_by_what_they_need() {
        const Configuration before = load(sources());
        write_file(own_file(),
                   "[http]\nidle_timeout = 5s\nreactors = 2\nlisten = 127.0.0.1:8080\n");
        write_file(pantry_file(), "[pantry]\nmax_value = 2KiB\nkeep = 2h\n");
        const Configuration fresh = load(sources());
        const Changes found = changes(before, fresh);
        std::vector<std::string> told;
        for (const Change& change : found.applied) {
            told.push_back(fmt::format("live {}.{} {} {}", change.section, change.key,
                                       change.before, change.after));
        }
        for (const Change& change : found.needs_restart) {
            told.push_back(fmt::format("restart {}.{} {} {}", change.section, change.key,
                                       change.before, change.after));
        }
        assert_same({"live http.idle_timeout 75s 5s", "live pantry.max_value 1MiB 2KiB",
                     "restart http.reactors cores 2", "restart pantry.keep off 2h"},
                    told);
        CPPUNIT_ASSERT(std::chrono::seconds(5) ==
                       found.in_force.section("http")->duration("idle_timeout"));
        CPPUNIT_ASSERT_EQUAL(std::string("cores"),
                             found.in_force.section("http")->text("reactors"));
        // what waits for the restart is told again by the next reload, what was applied is not
        const Changes again = changes(found.in_force, fresh);
        CPPUNIT_ASSERT(again.applied.empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, again.needs_restart.size());
    }

    void a_restarted_plugin_takes_its_whole_section() {
        const Configuration before = load(sources());
        write_file(own_file(), "[http]\nreactors = 2\n");
        write_file(pantry_file(), "[pantry]\nkeep = 2h\n");
        const Configuration fresh = load(sources());
        const Configuration after = changes(before, fresh).in_force.with_section(fresh, "pantry");
        CPPUNIT_ASSERT_EQUAL(std::string("2h"), after.section("pantry")->text("keep"));
        CPPUNIT_ASSERT_EQUAL(std::string("cores"), after.section("http")->text("reactors"));
        LiveSection live(before.section("pantry"));
        const larder::Settings& seen = live;
        live.replace(after.section("pantry"));
        CPPUNIT_ASSERT(std::chrono::hours(2) == seen.duration("keep"));
    }
};

LARDER_TEST_SUITE(ConfigurationTest);
