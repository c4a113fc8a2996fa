/* A stand-in for libnvidia-ml.so.1: it answers the calls that bsmon makes and fails on command.
 *
 * $FAKE_NVML names a file of "key=value" lines, read anew at every call, so that a test changes faults while it runs:
 *   count=2            number of GPUs                      total= used= reserved= util= memutil= temp= power= (also key.GPU=)
 *   name=  driver=  procname=                              text; \xHH stands for a byte
 *   procs=1 pid=N pused=BYTES                              processes on each GPU
 *   mig=1 slices=2                                         MIG mode and its slices
 *   null_handle=1                                          success, but a null handle
 *   lost_before=N                                          GPUs are lost until NVML was initialised N times
 *   fault.FUNCTION[.GPU]=CODE                              nvmlReturn_t to return; FUNCTION may be *
 *   hang.FUNCTION=SECONDS   crash.FUNCTION=1
 * Compiled with -DOLD_DRIVER it lacks the functions that came with later struct versions.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int Return;
typedef unsigned int Uint;
typedef unsigned long long Ulong;
typedef struct { int gpu, slice; } Device; /* slice: -1 for a whole GPU */

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, VERSION_MISMATCH = 25 };
enum { MOST_GPUS = 16, MOST_SLICES = 8 };
#define VERSION(type, number) ((Uint)(sizeof(type) | (number) << 24U))

static Device gpus[MOST_GPUS];
static Device slices[MOST_GPUS][MOST_SLICES];
static int initialised; /* references */
static Ulong initialisations; /* ever */

static char settings[1 << 13];
static int given; /* settings came by a call: no file is read */

/* The quick way, for a process that makes very many calls. */
void fake_nvml_settings(const char *lines) {
  snprintf(settings, sizeof settings, "%s", lines);
  given = 1;
}

/* Read the file of settings; done once a call. */
static void load(void) {
  const char *path = getenv("FAKE_NVML");
  FILE *file;
  size_t length;
  if (given) return;
  file = path ? fopen(path, "r") : NULL;
  length = file ? fread(settings, 1, sizeof settings - 1, file) : 0;
  settings[length] = 0;
  if (file) fclose(file);
}

/* The value of a key. Returns 0 where there is no such key. */
static int find(const char *key, char *value, size_t size) {
  size_t length = strlen(key);
  for (const char *line = settings; *line; line += strcspn(line, "\n"), line += *line == '\n') {
    if (strncmp(line, key, length) || line[length] != '=') continue;
    snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
    return 1;
  }
  return 0;
}

static Ulong number(const char *key, int gpu, Ulong otherwise) {
  char name[128], value[128];
  snprintf(name, sizeof name, "%s.%d", key, gpu);
  if (find(name, value, sizeof value) || find(key, value, sizeof value)) return strtoull(value, NULL, 0);
  return otherwise;
}

static Return text(const char *key, const char *otherwise, char *out, Uint size) {
  char value[512];
  Uint used = 0;
  if (!find(key, value, sizeof value)) snprintf(value, sizeof value, "%s", otherwise);
  for (const char *at = value; *at; used++) {
    if (used + 1 >= size) return TOO_SMALL;
    if (at[0] == '\\' && at[1] == 'x') {
      char digits[3] = {at[2], at[3], 0};
      out[used] = (char)strtoul(digits, NULL, 16);
      at += 4;
    } else {
      out[used] = *at++;
    }
  }
  out[used] = 0;
  return OK;
}

/* Every call passes here first. */
static Return gate(const char *function, int gpu) {
  char key[128];
  const char *names[] = {function, "*"};
  load();
  snprintf(key, sizeof key, "crash.%s", function);
  if (number(key, gpu, 0)) raise(SIGSEGV);
  snprintf(key, sizeof key, "hang.%s", function);
  usleep((useconds_t)(number(key, gpu, 0) * 1000000));
  for (int i = 0; i < 2; i++) {
    Return code;
    snprintf(key, sizeof key, "fault.%s", names[i]);
    code = (Return)number(key, gpu, 0);
    if (code) return code;
  }
  if (gpu >= 0 && initialisations < number("lost_before", gpu, 0)) return LOST;
  return OK;
}

#define PASS(function, gpu)                       \
  do {                                            \
    Return code_ = gate(function, gpu);           \
    if (code_) return code_;                      \
    if (!initialised) return UNINITIALIZED;       \
  } while (0)

Return nvmlInitWithFlags(Uint flags) {
  Return code = gate("nvmlInit", -1);
  (void)flags;
  if (!code) initialised++, initialisations++;
  return code;
}

Return nvmlShutdown(void) {
  PASS("nvmlShutdown", -1);
  initialised--;
  return OK;
}

Return nvmlSystemGetDriverVersion(char *out, Uint size) {
  PASS("nvmlSystemGetDriverVersion", -1);
  return text("driver", "570.00", out, size);
}

Return nvmlSystemGetProcessName(Uint pid, char *out, Uint size) {
  (void)pid;
  PASS("nvmlSystemGetProcessName", -1);
  return text("procname", "/usr/bin/python train.py", out, size);
}

Return nvmlDeviceGetCount_v2(Uint *count) {
  PASS("nvmlDeviceGetCount", -1);
  *count = (Uint)number("count", -1, 1);
  return OK;
}

Return nvmlDeviceGetHandleByIndex_v2(Uint index, Device **device) {
  PASS("nvmlDeviceGetHandleByIndex", (int)index);
  if (index >= number("count", -1, 1) || index >= MOST_GPUS) return INVALID;
  gpus[index] = (Device){(int)index, -1};
  *device = number("null_handle", (int)index, 0) ? NULL : &gpus[index];
  return OK;
}

Return nvmlDeviceGetName(Device *device, char *out, Uint size) {
  PASS("nvmlDeviceGetName", device->gpu);
  return text("name", device->slice < 0 ? "Fake H200" : "Fake H200 MIG 1g.18gb", out, size);
}

Return nvmlDeviceGetUUID(Device *device, char *out, Uint size) {
  PASS("nvmlDeviceGetUUID", device->gpu);
  if (device->slice < 0)
    snprintf(out, size, "GPU-%08x-0000-0000-0000-00000000fa6e", device->gpu);
  else
    snprintf(out, size, "MIG-%08x-0000-0000-%04x-00000000fa6e", device->gpu, device->slice);
  return OK;
}

typedef struct { Ulong total, free, used; } Memory1;
typedef struct { Uint version; Ulong total, reserved, free, used; } Memory2;

Return nvmlDeviceGetMemoryInfo(Device *device, Memory1 *memory) {
  PASS("nvmlDeviceGetMemoryInfo", device->gpu);
  memory->total = number("total", device->gpu, 80ULL << 30);
  memory->used = number("used", device->gpu, 1ULL << 30) + number("reserved", device->gpu, 512ULL << 20);
  memory->free = memory->total - memory->used;
  return OK;
}

#ifndef OLD_DRIVER
Return nvmlDeviceGetMemoryInfo_v2(Device *device, Memory2 *memory) {
  PASS("nvmlDeviceGetMemoryInfo", device->gpu);
  if (memory->version != VERSION(Memory2, 2)) return VERSION_MISMATCH;
  memory->total = number("total", device->gpu, 80ULL << 30);
  memory->used = number("used", device->gpu, 1ULL << 30);
  memory->reserved = number("reserved", device->gpu, 512ULL << 20);
  memory->free = memory->total - memory->used - memory->reserved;
  return OK;
}
#endif

typedef struct { Uint gpu, memory; } Utilisation;

Return nvmlDeviceGetUtilizationRates(Device *device, Utilisation *rates) {
  PASS("nvmlDeviceGetUtilizationRates", device->gpu);
  rates->gpu = (Uint)number("util", device->gpu, 37);
  rates->memory = (Uint)number("memutil", device->gpu, 5);
  return OK;
}

Return nvmlDeviceGetTemperature(Device *device, Uint sensor, Uint *celsius) {
  (void)sensor;
  PASS("nvmlDeviceGetTemperature", device->gpu);
  *celsius = (Uint)number("temp", device->gpu, 55);
  return OK;
}

typedef struct { Uint version, sensor; int celsius; } Temperature1;

#ifndef OLD_DRIVER
Return nvmlDeviceGetTemperatureV(Device *device, Temperature1 *temperature) {
  PASS("nvmlDeviceGetTemperature", device->gpu);
  if (temperature->version != VERSION(Temperature1, 1)) return VERSION_MISMATCH;
  temperature->celsius = (int)number("temp", device->gpu, 55);
  return OK;
}
#endif

Return nvmlDeviceGetPowerUsage(Device *device, Uint *milliwatts) {
  PASS("nvmlDeviceGetPowerUsage", device->gpu);
  *milliwatts = (Uint)number("power", device->gpu, 350000);
  return OK;
}

Return nvmlDeviceGetEnforcedPowerLimit(Device *device, Uint *milliwatts) {
  PASS("nvmlDeviceGetEnforcedPowerLimit", device->gpu);
  *milliwatts = 700000;
  return OK;
}

Return nvmlDeviceGetClockInfo(Device *device, Uint type, Uint *megahertz) {
  PASS("nvmlDeviceGetClockInfo", device->gpu);
  *megahertz = type == 2 ? 3200 : 1980;
  return OK;
}

Return nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, Ulong *reasons) {
  PASS("nvmlDeviceGetCurrentClocksEventReasons", device->gpu);
  *reasons = number("throttle", device->gpu, 0);
  return OK;
}

#ifndef OLD_DRIVER
Return nvmlDeviceGetCurrentClocksEventReasons(Device *device, Ulong *reasons) {
  return nvmlDeviceGetCurrentClocksThrottleReasons(device, reasons);
}
#endif

Return nvmlDeviceGetPcieThroughput(Device *device, Uint counter, Uint *kilobytes) {
  PASS("nvmlDeviceGetPcieThroughput", device->gpu);
  *kilobytes = counter ? 2000 : 1000;
  return OK;
}

Return nvmlDeviceGetMigMode(Device *device, Uint *current, Uint *pending) {
  PASS("nvmlDeviceGetMigMode", device->gpu);
  *current = *pending = (Uint)number("mig", device->gpu, 0);
  return OK;
}

Return nvmlDeviceGetMaxMigDeviceCount(Device *device, Uint *count) {
  PASS("nvmlDeviceGetMaxMigDeviceCount", device->gpu);
  *count = MOST_SLICES - 1;
  return OK;
}

Return nvmlDeviceGetMigDeviceHandleByIndex(Device *device, Uint index, Device **slice) {
  PASS("nvmlDeviceGetMigDeviceHandleByIndex", device->gpu);
  if (index >= number("slices", device->gpu, 0) || index >= MOST_SLICES) return NOT_FOUND;
  slices[device->gpu][index] = (Device){device->gpu, (int)index};
  *slice = &slices[device->gpu][index];
  return OK;
}

typedef struct { Uint pid; Ulong used; Uint gpu_instance, compute_instance; } Process;

/* Versions 2 and 3 of the call share this struct. */
static Return processes(Device *device, Uint *count, Process *found) {
  Uint have, room = *count;
  PASS("nvmlDeviceGetComputeRunningProcesses", device->gpu);
  *count = have = (Uint)number("procs", device->gpu, 1);
  if (have && (!found || room < have)) return TOO_SMALL;
  for (Uint i = 0; i < have; i++)
    found[i] = (Process){(Uint)number("pid", device->gpu, 4242) + i, number("pused", device->gpu, 1ULL << 29), ~0U, ~0U};
  return OK;
}

Return nvmlDeviceGetComputeRunningProcesses_v2(Device *device, Uint *count, Process *found) {
  return processes(device, count, found);
}

#ifndef OLD_DRIVER
Return nvmlDeviceGetComputeRunningProcesses_v3(Device *device, Uint *count, Process *found) {
  return processes(device, count, found);
}
#endif

/* Not UTF-8, as a damaged library might have it: whoever asks for a text while handling an error must survive that. */
const char *nvmlErrorString(Return code) {
  (void)code;
  return "\xff\xfe";
}
