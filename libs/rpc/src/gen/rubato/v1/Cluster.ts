// Original file: proto/rubato/v1/cluster.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ClusterEvent as _rubato_v1_ClusterEvent, ClusterEvent__Output as _rubato_v1_ClusterEvent__Output } from '../../rubato/v1/ClusterEvent.ts';
import type { DrainRequest as _rubato_v1_DrainRequest, DrainRequest__Output as _rubato_v1_DrainRequest__Output } from '../../rubato/v1/DrainRequest.ts';
import type { DrainResponse as _rubato_v1_DrainResponse, DrainResponse__Output as _rubato_v1_DrainResponse__Output } from '../../rubato/v1/DrainResponse.ts';
import type { GetLoadRequest as _rubato_v1_GetLoadRequest, GetLoadRequest__Output as _rubato_v1_GetLoadRequest__Output } from '../../rubato/v1/GetLoadRequest.ts';
import type { GetLoadResponse as _rubato_v1_GetLoadResponse, GetLoadResponse__Output as _rubato_v1_GetLoadResponse__Output } from '../../rubato/v1/GetLoadResponse.ts';
import type { ListInstancesRequest as _rubato_v1_ListInstancesRequest, ListInstancesRequest__Output as _rubato_v1_ListInstancesRequest__Output } from '../../rubato/v1/ListInstancesRequest.ts';
import type { ListInstancesResponse as _rubato_v1_ListInstancesResponse, ListInstancesResponse__Output as _rubato_v1_ListInstancesResponse__Output } from '../../rubato/v1/ListInstancesResponse.ts';
import type { MigrateRequest as _rubato_v1_MigrateRequest, MigrateRequest__Output as _rubato_v1_MigrateRequest__Output } from '../../rubato/v1/MigrateRequest.ts';
import type { MigrateResponse as _rubato_v1_MigrateResponse, MigrateResponse__Output as _rubato_v1_MigrateResponse__Output } from '../../rubato/v1/MigrateResponse.ts';
import type { SetRoleRequest as _rubato_v1_SetRoleRequest, SetRoleRequest__Output as _rubato_v1_SetRoleRequest__Output } from '../../rubato/v1/SetRoleRequest.ts';
import type { SetRoleResponse as _rubato_v1_SetRoleResponse, SetRoleResponse__Output as _rubato_v1_SetRoleResponse__Output } from '../../rubato/v1/SetRoleResponse.ts';
import type { UndrainRequest as _rubato_v1_UndrainRequest, UndrainRequest__Output as _rubato_v1_UndrainRequest__Output } from '../../rubato/v1/UndrainRequest.ts';
import type { UndrainResponse as _rubato_v1_UndrainResponse, UndrainResponse__Output as _rubato_v1_UndrainResponse__Output } from '../../rubato/v1/UndrainResponse.ts';
import type { WatchEventsRequest as _rubato_v1_WatchEventsRequest, WatchEventsRequest__Output as _rubato_v1_WatchEventsRequest__Output } from '../../rubato/v1/WatchEventsRequest.ts';

export interface ClusterClient extends grpc.Client {
  Drain(argument: _rubato_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _rubato_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _rubato_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _rubato_v1_DrainRequest, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _rubato_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _rubato_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _rubato_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _rubato_v1_DrainRequest, callback: grpc.requestCallback<_rubato_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  
  GetLoad(argument: _rubato_v1_GetLoadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  GetLoad(argument: _rubato_v1_GetLoadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  GetLoad(argument: _rubato_v1_GetLoadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  GetLoad(argument: _rubato_v1_GetLoadRequest, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  getLoad(argument: _rubato_v1_GetLoadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  getLoad(argument: _rubato_v1_GetLoadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  getLoad(argument: _rubato_v1_GetLoadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  getLoad(argument: _rubato_v1_GetLoadRequest, callback: grpc.requestCallback<_rubato_v1_GetLoadResponse__Output>): grpc.ClientUnaryCall;
  
  ListInstances(argument: _rubato_v1_ListInstancesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  ListInstances(argument: _rubato_v1_ListInstancesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  ListInstances(argument: _rubato_v1_ListInstancesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  ListInstances(argument: _rubato_v1_ListInstancesRequest, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  listInstances(argument: _rubato_v1_ListInstancesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  listInstances(argument: _rubato_v1_ListInstancesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  listInstances(argument: _rubato_v1_ListInstancesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  listInstances(argument: _rubato_v1_ListInstancesRequest, callback: grpc.requestCallback<_rubato_v1_ListInstancesResponse__Output>): grpc.ClientUnaryCall;
  
  Migrate(argument: _rubato_v1_MigrateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  Migrate(argument: _rubato_v1_MigrateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  Migrate(argument: _rubato_v1_MigrateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  Migrate(argument: _rubato_v1_MigrateRequest, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  migrate(argument: _rubato_v1_MigrateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  migrate(argument: _rubato_v1_MigrateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  migrate(argument: _rubato_v1_MigrateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  migrate(argument: _rubato_v1_MigrateRequest, callback: grpc.requestCallback<_rubato_v1_MigrateResponse__Output>): grpc.ClientUnaryCall;
  
  SetRole(argument: _rubato_v1_SetRoleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  SetRole(argument: _rubato_v1_SetRoleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  SetRole(argument: _rubato_v1_SetRoleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  SetRole(argument: _rubato_v1_SetRoleRequest, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  setRole(argument: _rubato_v1_SetRoleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  setRole(argument: _rubato_v1_SetRoleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  setRole(argument: _rubato_v1_SetRoleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  setRole(argument: _rubato_v1_SetRoleRequest, callback: grpc.requestCallback<_rubato_v1_SetRoleResponse__Output>): grpc.ClientUnaryCall;
  
  Undrain(argument: _rubato_v1_UndrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  Undrain(argument: _rubato_v1_UndrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  Undrain(argument: _rubato_v1_UndrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  Undrain(argument: _rubato_v1_UndrainRequest, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  undrain(argument: _rubato_v1_UndrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  undrain(argument: _rubato_v1_UndrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  undrain(argument: _rubato_v1_UndrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  undrain(argument: _rubato_v1_UndrainRequest, callback: grpc.requestCallback<_rubato_v1_UndrainResponse__Output>): grpc.ClientUnaryCall;
  
  WatchEvents(argument: _rubato_v1_WatchEventsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_ClusterEvent__Output>;
  WatchEvents(argument: _rubato_v1_WatchEventsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_ClusterEvent__Output>;
  watchEvents(argument: _rubato_v1_WatchEventsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_ClusterEvent__Output>;
  watchEvents(argument: _rubato_v1_WatchEventsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_ClusterEvent__Output>;
  
}

export interface ClusterHandlers extends grpc.UntypedServiceImplementation {
  Drain: grpc.handleUnaryCall<_rubato_v1_DrainRequest__Output, _rubato_v1_DrainResponse>;
  
  GetLoad: grpc.handleUnaryCall<_rubato_v1_GetLoadRequest__Output, _rubato_v1_GetLoadResponse>;
  
  ListInstances: grpc.handleUnaryCall<_rubato_v1_ListInstancesRequest__Output, _rubato_v1_ListInstancesResponse>;
  
  Migrate: grpc.handleUnaryCall<_rubato_v1_MigrateRequest__Output, _rubato_v1_MigrateResponse>;
  
  SetRole: grpc.handleUnaryCall<_rubato_v1_SetRoleRequest__Output, _rubato_v1_SetRoleResponse>;
  
  Undrain: grpc.handleUnaryCall<_rubato_v1_UndrainRequest__Output, _rubato_v1_UndrainResponse>;
  
  WatchEvents: grpc.handleServerStreamingCall<_rubato_v1_WatchEventsRequest__Output, _rubato_v1_ClusterEvent>;
  
}

export interface ClusterDefinition extends grpc.ServiceDefinition {
  Drain: MethodDefinition<_rubato_v1_DrainRequest, _rubato_v1_DrainResponse, _rubato_v1_DrainRequest__Output, _rubato_v1_DrainResponse__Output>
  GetLoad: MethodDefinition<_rubato_v1_GetLoadRequest, _rubato_v1_GetLoadResponse, _rubato_v1_GetLoadRequest__Output, _rubato_v1_GetLoadResponse__Output>
  ListInstances: MethodDefinition<_rubato_v1_ListInstancesRequest, _rubato_v1_ListInstancesResponse, _rubato_v1_ListInstancesRequest__Output, _rubato_v1_ListInstancesResponse__Output>
  Migrate: MethodDefinition<_rubato_v1_MigrateRequest, _rubato_v1_MigrateResponse, _rubato_v1_MigrateRequest__Output, _rubato_v1_MigrateResponse__Output>
  SetRole: MethodDefinition<_rubato_v1_SetRoleRequest, _rubato_v1_SetRoleResponse, _rubato_v1_SetRoleRequest__Output, _rubato_v1_SetRoleResponse__Output>
  Undrain: MethodDefinition<_rubato_v1_UndrainRequest, _rubato_v1_UndrainResponse, _rubato_v1_UndrainRequest__Output, _rubato_v1_UndrainResponse__Output>
  WatchEvents: MethodDefinition<_rubato_v1_WatchEventsRequest, _rubato_v1_ClusterEvent, _rubato_v1_WatchEventsRequest__Output, _rubato_v1_ClusterEvent__Output>
}
