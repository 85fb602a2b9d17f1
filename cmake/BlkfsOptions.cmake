# SPDX-License-Identifier: MIT
# Language, warnings, build kinds and sanitizers: the same for every room.

option(BLKFS_WERROR "Treat warnings as errors" OFF)
option(BLKFS_DEBUG "Compile the expensive checks (blkfs_debug_assert, xxx_check) in" OFF)
option(BLKFS_LTO "Link time optimisation" OFF)
set(BLKFS_SANITIZE "" CACHE STRING "Empty, 'address,undefined' or 'thread'")
set_property(CACHE BLKFS_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")

if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Assertions stay in every build: no -DNDEBUG here.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-Og -g3")

add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)
add_compile_options(
	"$<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes;-Wvla>"
	# A function in an ops table does not use every argument of its slot.
	"$<$<COMPILE_LANGUAGE:C>:-Wno-unused-parameter>"
	"$<$<COMPILE_LANGUAGE:C>:-fno-strict-aliasing;-fno-omit-frame-pointer>"
)
if(BLKFS_WERROR)
	add_compile_options("$<$<COMPILE_LANGUAGE:C>:-Werror>")
endif()
if(BLKFS_DEBUG)
	add_compile_definitions(BLKFS_DEBUG=1)
endif()
if(BLKFS_LTO)
	set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# How much longer a test may take in this build than in a release build.
set(BLKFS_TIMEOUT_SCALE 1)
if(BLKFS_SANITIZE)
	add_compile_options("$<$<COMPILE_LANGUAGE:C>:-fsanitize=${BLKFS_SANITIZE}>")
	add_link_options("-fsanitize=${BLKFS_SANITIZE}")
	set(BLKFS_TIMEOUT_SCALE 4)
	if(BLKFS_SANITIZE MATCHES "undefined")
		add_compile_options("$<$<COMPILE_LANGUAGE:C>:-fno-sanitize-recover=undefined>")
	endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Debug")
	set(BLKFS_TIMEOUT_SCALE 2)
endif()
