/** As much of `Test.createTestingModule` as overriding a provider takes, over Nest's own container. */
import { ApplicationConfig, MetadataScanner, NestApplicationContext, NestContainer } from '@nestjs/core';
import { DependenciesScanner, Injector, InstanceLoader, NoopGraphInspector } from '@nestjs/core/internal';
import { Logger, Module, type ModuleMetadata, type Type } from '@nestjs/common';

export class TestBuilder {
  readonly #root: Type;
  readonly #overrides: (readonly [token: unknown, value: unknown])[] = [];

  constructor(metadata: ModuleMetadata) {
    class RootModule {
      readonly name = 'the test';
    }
    Module(metadata)(RootModule);
    this.#root = RootModule;
  }

  overrideProvider(token: unknown): { useValue(value: unknown): TestBuilder } {
    return {
      useValue: (value) => {
        this.#overrides.push([token, value]);
        return this;
      },
    };
  }

  async compile(): Promise<NestApplicationContext> {
    Logger.overrideLogger(false);
    const config = new ApplicationConfig();
    const container = new NestContainer(config);
    const scanner = new DependenciesScanner(container, new MetadataScanner(), NoopGraphInspector, config);
    await scanner.scan(this.#root);
    for (const [token, useValue] of this.#overrides) {
      // Its type knows less than what it is for: overriding providers is what @nestjs/testing calls it for.
      container.replace(token, { useValue, isProvider: true, scope: null } as { scope: null });
    }
    await new InstanceLoader(container, new Injector(), NoopGraphInspector).createInstancesOfDependencies();
    const [root = null] = container.getModules().values();
    return new NestApplicationContext(container, {}, root).init();
  }
}
