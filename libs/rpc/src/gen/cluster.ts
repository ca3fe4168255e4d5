import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { ClusterClient as _rubato_v1_ClusterClient, ClusterDefinition as _rubato_v1_ClusterDefinition } from './rubato/v1/Cluster.ts';
import type { ClusterEvent as _rubato_v1_ClusterEvent, ClusterEvent__Output as _rubato_v1_ClusterEvent__Output } from './rubato/v1/ClusterEvent.ts';
import type { DrainRequest as _rubato_v1_DrainRequest, DrainRequest__Output as _rubato_v1_DrainRequest__Output } from './rubato/v1/DrainRequest.ts';
import type { DrainResponse as _rubato_v1_DrainResponse, DrainResponse__Output as _rubato_v1_DrainResponse__Output } from './rubato/v1/DrainResponse.ts';
import type { GetLoadRequest as _rubato_v1_GetLoadRequest, GetLoadRequest__Output as _rubato_v1_GetLoadRequest__Output } from './rubato/v1/GetLoadRequest.ts';
import type { GetLoadResponse as _rubato_v1_GetLoadResponse, GetLoadResponse__Output as _rubato_v1_GetLoadResponse__Output } from './rubato/v1/GetLoadResponse.ts';
import type { Instance as _rubato_v1_Instance, Instance__Output as _rubato_v1_Instance__Output } from './rubato/v1/Instance.ts';
import type { ListInstancesRequest as _rubato_v1_ListInstancesRequest, ListInstancesRequest__Output as _rubato_v1_ListInstancesRequest__Output } from './rubato/v1/ListInstancesRequest.ts';
import type { ListInstancesResponse as _rubato_v1_ListInstancesResponse, ListInstancesResponse__Output as _rubato_v1_ListInstancesResponse__Output } from './rubato/v1/ListInstancesResponse.ts';
import type { Load as _rubato_v1_Load, Load__Output as _rubato_v1_Load__Output } from './rubato/v1/Load.ts';
import type { MigrateRequest as _rubato_v1_MigrateRequest, MigrateRequest__Output as _rubato_v1_MigrateRequest__Output } from './rubato/v1/MigrateRequest.ts';
import type { MigrateResponse as _rubato_v1_MigrateResponse, MigrateResponse__Output as _rubato_v1_MigrateResponse__Output } from './rubato/v1/MigrateResponse.ts';
import type { SetRoleRequest as _rubato_v1_SetRoleRequest, SetRoleRequest__Output as _rubato_v1_SetRoleRequest__Output } from './rubato/v1/SetRoleRequest.ts';
import type { SetRoleResponse as _rubato_v1_SetRoleResponse, SetRoleResponse__Output as _rubato_v1_SetRoleResponse__Output } from './rubato/v1/SetRoleResponse.ts';
import type { UndrainRequest as _rubato_v1_UndrainRequest, UndrainRequest__Output as _rubato_v1_UndrainRequest__Output } from './rubato/v1/UndrainRequest.ts';
import type { UndrainResponse as _rubato_v1_UndrainResponse, UndrainResponse__Output as _rubato_v1_UndrainResponse__Output } from './rubato/v1/UndrainResponse.ts';
import type { WatchEventsRequest as _rubato_v1_WatchEventsRequest, WatchEventsRequest__Output as _rubato_v1_WatchEventsRequest__Output } from './rubato/v1/WatchEventsRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  rubato: {
    v1: {
      Cluster: SubtypeConstructor<typeof grpc.Client, _rubato_v1_ClusterClient> & { service: _rubato_v1_ClusterDefinition }
      ClusterEvent: MessageTypeDefinition<_rubato_v1_ClusterEvent, _rubato_v1_ClusterEvent__Output>
      ClusterEventKind: EnumTypeDefinition
      DrainRequest: MessageTypeDefinition<_rubato_v1_DrainRequest, _rubato_v1_DrainRequest__Output>
      DrainResponse: MessageTypeDefinition<_rubato_v1_DrainResponse, _rubato_v1_DrainResponse__Output>
      GetLoadRequest: MessageTypeDefinition<_rubato_v1_GetLoadRequest, _rubato_v1_GetLoadRequest__Output>
      GetLoadResponse: MessageTypeDefinition<_rubato_v1_GetLoadResponse, _rubato_v1_GetLoadResponse__Output>
      Instance: MessageTypeDefinition<_rubato_v1_Instance, _rubato_v1_Instance__Output>
      ListInstancesRequest: MessageTypeDefinition<_rubato_v1_ListInstancesRequest, _rubato_v1_ListInstancesRequest__Output>
      ListInstancesResponse: MessageTypeDefinition<_rubato_v1_ListInstancesResponse, _rubato_v1_ListInstancesResponse__Output>
      Load: MessageTypeDefinition<_rubato_v1_Load, _rubato_v1_Load__Output>
      MigrateRequest: MessageTypeDefinition<_rubato_v1_MigrateRequest, _rubato_v1_MigrateRequest__Output>
      MigrateResponse: MessageTypeDefinition<_rubato_v1_MigrateResponse, _rubato_v1_MigrateResponse__Output>
      Role: EnumTypeDefinition
      SetRoleRequest: MessageTypeDefinition<_rubato_v1_SetRoleRequest, _rubato_v1_SetRoleRequest__Output>
      SetRoleResponse: MessageTypeDefinition<_rubato_v1_SetRoleResponse, _rubato_v1_SetRoleResponse__Output>
      UndrainRequest: MessageTypeDefinition<_rubato_v1_UndrainRequest, _rubato_v1_UndrainRequest__Output>
      UndrainResponse: MessageTypeDefinition<_rubato_v1_UndrainResponse, _rubato_v1_UndrainResponse__Output>
      WatchEventsRequest: MessageTypeDefinition<_rubato_v1_WatchEventsRequest, _rubato_v1_WatchEventsRequest__Output>
    }
  }
}

