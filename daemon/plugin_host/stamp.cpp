#include "plugin_host/stamp.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "larder/http.hpp"

namespace larder::plugin_host {
namespace {

constexpr std::string_view kSection = ".note.larder";
constexpr std::string_view kMagic = "LARDERP1";
constexpr std::size_t kMaxSections = 4096, kMaxNames = 1U << 20U;

// Reads exactly, or not at all: a cut file is no file of ours.
bool read_at(int fd, std::uint64_t offset, void* into, std::size_t size) noexcept {
    auto* out = static_cast<char*>(into);
    while (size > 0) {
        const ssize_t got = pread(fd, out, size, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        out += got;
        offset += static_cast<std::uint64_t>(got);
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

Verdict refused(std::string why) {
    Verdict verdict;
    verdict.why = std::move(why);
    return verdict;
}

struct Elf {
    int fd;
    Elf64_Ehdr header;
    std::vector<Elf64_Shdr> sections;
    std::string names;
};

std::optional<std::string> read_elf(Elf& elf) {
    if (!read_at(elf.fd, 0, &elf.header, sizeof(elf.header)) ||
        std::memcmp(elf.header.e_ident, ELFMAG, SELFMAG) != 0) {
        return "it is no ELF shared library; rebuild it, or remove it from the plugin folder";
    }
    if (elf.header.e_ident[EI_CLASS] != ELFCLASS64 || elf.header.e_ident[EI_DATA] != ELFDATA2LSB ||
        elf.header.e_type != ET_DYN) {
        return "it is no 64-bit little-endian shared library; build it with -shared for this "
               "machine";
    }
    const std::size_t count = elf.header.e_shnum;
    if (elf.header.e_shentsize != sizeof(Elf64_Shdr) || count == 0 || count > kMaxSections ||
        elf.header.e_shstrndx >= count) {
        return "its section table is damaged; copy the file anew";
    }
    elf.sections.resize(count);
    if (!read_at(elf.fd, elf.header.e_shoff, elf.sections.data(), count * sizeof(Elf64_Shdr))) {
        return "it is cut short; copy the file anew";
    }
    const Elf64_Shdr& names = elf.sections[elf.header.e_shstrndx];
    if (names.sh_size == 0 || names.sh_size > kMaxNames) {
        return "its section names are damaged; copy the file anew";
    }
    elf.names.resize(names.sh_size);
    if (!read_at(elf.fd, names.sh_offset, elf.names.data(), elf.names.size())) {
        return "it is cut short; copy the file anew";
    }
    return std::nullopt;
}

// A cut file whose headers survived would crash the loader: every segment must lie inside.
bool segments_fit(const Elf& elf, std::uint64_t file_size) {
    if (elf.header.e_phentsize != sizeof(Elf64_Phdr) || elf.header.e_phnum > kMaxSections) {
        return false;
    }
    for (std::size_t i = 0; i < elf.header.e_phnum; ++i) {
        Elf64_Phdr segment;
        if (!read_at(elf.fd, elf.header.e_phoff + i * sizeof(segment), &segment, sizeof(segment))) {
            return false;
        }
        if (segment.p_offset > file_size || segment.p_filesz > file_size - segment.p_offset) {
            return false;
        }
    }
    return true;
}

const Elf64_Shdr* find_stamp(const Elf& elf) {
    for (const Elf64_Shdr& section : elf.sections) {
        if (section.sh_name >= elf.names.size()) continue;
        const std::string_view name(elf.names.c_str() + section.sh_name);
        if (name == kSection && section.sh_type != SHT_NOBITS) return &section;
    }
    return nullptr;
}

struct FlagText {
    std::uint32_t flag;
    const char* plugin_has;  // when only the plugin has it
    const char* daemon_has;  // when only the daemon has it
};

constexpr std::array<FlagText, 4> kFlagTexts = {{
    {kAbiCxx11Strings, "it uses the C++11 string layout and this daemon the old one",
     "it uses the old string layout (_GLIBCXX_USE_CXX11_ABI=0) and this daemon the C++11 one"},
    {kAbiDebugContainers,
     "it was built with -D_GLIBCXX_DEBUG and this daemon without; build it without",
     "this daemon was built with -D_GLIBCXX_DEBUG and it without; build it with"},
    {kAbiAddressSanitizer,
     "it was built with -fsanitize=address and this daemon without; build it without",
     "this daemon was built with -fsanitize=address and it without; build it with"},
    {kAbiThreadSanitizer,
     "it was built with -fsanitize=thread and this daemon without; build it without",
     "this daemon was built with -fsanitize=thread and it without; build it with"},
}};

}  // namespace

Verdict judge_stamp(const AbiStamp& stamp) {
    const AbiStamp ours = make_abi_stamp();
    Verdict verdict;
    verdict.stamp = stamp;
    if (stamp.api_major != ours.api_major) {
        verdict.why = fmt::format(
            "it was built for plugin API {}.{} and this daemon has {}.{}; rebuild it against this "
            "daemon's plugin-api",
            stamp.api_major, stamp.api_minor, ours.api_major, ours.api_minor);
        return verdict;
    }
    if (stamp.api_minor > ours.api_minor) {
        verdict.why = fmt::format(
            "it wants plugin API {}.{} and this daemon has {}.{}; install a newer larder, or "
            "build the plugin against this one's plugin-api",
            stamp.api_major, stamp.api_minor, ours.api_major, ours.api_minor);
        return verdict;
    }
    for (const FlagText& text : kFlagTexts) {
        if ((stamp.flags & text.flag) == (ours.flags & text.flag)) continue;
        verdict.why = (stamp.flags & text.flag) != 0 ? text.plugin_has : text.daemon_has;
        return verdict;
    }
    if (stamp.flags != ours.flags || stamp.sizeof_string != ours.sizeof_string ||
        stamp.sizeof_function != ours.sizeof_function) {
        verdict.why = fmt::format(
            "its standard library lays types out differently (plugin: flags {:#x}, string {} "
            "bytes, function {} bytes; daemon: {:#x}, {}, {}); build it with libstdc++",
            stamp.flags, stamp.sizeof_string, stamp.sizeof_function, ours.flags, ours.sizeof_string,
            ours.sizeof_function);
        return verdict;
    }
    verdict.taken = true;
    return verdict;
}

Verdict judge_file(const std::string& path) {
    const FileHandle file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat facts {};
    if (file.fd() < 0 || fstat(file.fd(), &facts) != 0) {
        return refused(fmt::format("it cannot be read: {}", std::strerror(errno)));
    }
    Elf elf{file.fd(), {}, {}, {}};
    if (const auto why = read_elf(elf)) return refused(*why);
    if (!segments_fit(elf, static_cast<std::uint64_t>(facts.st_size))) {
        return refused("it is cut short; copy the file anew");
    }
    const Elf64_Shdr* section = find_stamp(elf);
    if (section == nullptr) {
        return refused(
            "it carries no larder stamp; export its entry with LARDER_PLUGIN (larder/export.hpp)");
    }
    AbiStamp stamp;
    if (section->sh_size < sizeof(stamp) ||
        !read_at(file.fd(), section->sh_offset, &stamp, sizeof(stamp)) ||
        std::string_view(stamp.magic, sizeof(stamp.magic)) != kMagic ||
        stamp.size < sizeof(stamp)) {
        return refused("its larder stamp is damaged; rebuild it or copy the file anew");
    }
    stamp.compiler[sizeof(stamp.compiler) - 1] = '\0';
    return judge_stamp(stamp);
}

}  // namespace larder::plugin_host
