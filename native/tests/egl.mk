# Tests of EGL: the same programs on every EGL there is, each run with what it is called, whose EGL
# (1: the system's, 2: ANGLE) and where that is. One that is not there is skipped, which is counted.

ANGLE := ../.cache/angle
NEWER_MESA := ../.cache/mesa-25
WITH_NEWER_MESA := $(wildcard $(NEWER_MESA)/bin/with-mesa)

# LeakSanitizer's own thread crashes in the code that SwiftShader makes, and Mesa 25 leaves 48 bytes
# of each context behind; on Mesa 22 it looks for leaks.
NO_LEAK_CHECK := env ASAN_OPTIONS=detect_leaks=0
ON_MESA := 1 -
ON_ANGLE := 2 $(ANGLE)
ON_NEWER_MESA := 1 $(if $(WITH_NEWER_MESA),-,$(NEWER_MESA))

EGL_TESTS_linux := $(addprefix build/sanitized/,egl_display_test egl_standin/libEGL.so.1) \
  $(if $(filter gl,$(LEFT_OUT)),,$(addprefix build/sanitized/,egl_test egl_gpu_test \
  egl_window_test egl_surface_test) build/egl_soak)
EGL_TESTS_darwin := build/sanitized/egl_test
EGL_TESTS := $(EGL_TESTS_$(PLATFORM))

# It opens the stand-in of macOS's frameworks by name, which under ASan only an old-style run path
# finds.
STANDIN_TESTS += $(filter %/egl_surface_test,$(EGL_TESTS))
build/sanitized/egl_surface_test: LDFLAGS += -Wl,--disable-new-dtags

EGL_FRAMES := 3000
EGL_RUNS_gl := \
  "./build/sanitized/egl_test egl-on-mesa $(ON_MESA)" \
  "./build/sanitized/egl_gpu_test egl-gpu-on-mesa $(ON_MESA)" \
  "./build/sanitized/egl_surface_test egl-surface-on-mesa $(ON_MESA)" \
  "./build/sanitized/egl_window_test" \
  "$(NO_LEAK_CHECK) ./build/sanitized/egl_test egl-on-angle $(ON_ANGLE)" \
  "$(NO_LEAK_CHECK) ./build/sanitized/egl_gpu_test egl-gpu-on-angle $(ON_ANGLE)" \
  "$(NO_LEAK_CHECK) ./build/sanitized/egl_surface_test egl-surface-on-angle $(ON_ANGLE)" \
  "$(NO_LEAK_CHECK) $(WITH_NEWER_MESA) ./build/sanitized/egl_test egl-on-mesa-25 $(ON_NEWER_MESA)" \
  "./build/egl_soak egl-soak-on-mesa $(ON_MESA) $(EGL_FRAMES)" \
  "./build/egl_soak egl-soak-on-angle $(ON_ANGLE) $(EGL_FRAMES)" \
  "$(WITH_NEWER_MESA) ./build/egl_soak egl-soak-on-mesa-25 $(ON_NEWER_MESA) $(EGL_FRAMES)"
EGL_RUNS_linux := "./build/sanitized/egl_display_test build/sanitized/egl_standin" \
  $(if $(filter gl,$(LEFT_OUT)),,$(EGL_RUNS_gl))
EGL_RUNS_darwin := "./build/sanitized/egl_test egl-on-angle $(ON_ANGLE)"
EGL_RUNS := $(EGL_RUNS_$(PLATFORM))

# Without sanitizers, which hold on to freed memory: it watches how much there is.
build/egl_soak: build/obj/tests/egl_soak.o $(SHIM_SOURCES:%.c=build/obj/%.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(SHIM_LIBS) $(TEST_LIBS)

# One file, by the names under which EGL and OpenGL ES are looked for.
build/sanitized/egl_standin/libEGL.so.1: tests/standin/egl_standin_library.c \
    tests/standin/egl_standin_library.h gl_types.h Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<
	for name in libGLESv2.so.2 libEGL.so libGLESv2.so; do ln -sf libEGL.so.1 $(@D)/$$name; done
